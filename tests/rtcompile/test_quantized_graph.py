"""The float graphs of quantized models, beside these in ONNX Runtime; what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from rtcompile.errors import UnsupportedError
from rtcompile.frontends.onnx.import_onnx import import_onnx
from rtcompile.frontends.onnx.quantized.graph import QuantizedModel, float_graph
from rtcompile.verification.reference import open_reference
from tests.onnx_models import save, two_input_model
from tests.quantized_models import static

FLOAT, UINT8 = TensorProto.FLOAT, TensorProto.UINT8
SCALE, ZERO = np.float32(0.05), np.uint8(120)

node = helper.make_node


def model(folder: Path, nodes: list[Any], width: int = 24, opset: int = 17, **more: Any) -> Path:
    """Y of X [n, width]; constants s, z, a weight w [24, 16] int8 with scale t."""
    rng = np.random.default_rng(0)
    constants = {
        "s": SCALE,
        "z": ZERO,
        "w": rng.integers(-127, 128, (24, 16)).astype(np.int8),
        "t": np.float32(0.01),
        "wz": np.int8(0),
        **more,
    }
    given = {name: np.asarray(value) for name, value in constants.items()}
    path = save(
        folder / "m.onnx", nodes, given, {"X": (FLOAT, ["n", width])}, {"Y": (FLOAT, None)}, opset
    )
    proto = onnx.load(path)
    proto.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    onnx.save(proto, path)
    return path


def rewritten(path: Path) -> tuple[Any, QuantizedModel]:
    """Its float graph, which is near it in ONNX Runtime: no more off than some steps."""
    original = onnx.load(path)
    graph, quantized = float_graph(original)
    assert quantized is not None
    x = np.random.default_rng(1).normal(size=(50, 24)).astype(np.float32) * 4
    want, got = (open_reference(m)(["Y"], {"X": x})[0] for m in (original, graph))
    assert want.shape == got.shape
    assert np.abs(want - got).max() <= 0.06 * max(1.0, np.abs(want).max())
    return graph, quantized


def kinds(graph: Any) -> list[str]:
    return [one.op_type for one in graph.graph.node]


ROUNDED = ["Div", "Round", "Mul"]
QUANTIZE = node("QuantizeLinear", ["X", "s", "z"], ["q"])
DEQUANTIZE = node("DequantizeLinear", ["q", "s", "z"], ["x"])
WEIGHT = node("DequantizeLinear", ["w", "t", "wz"], ["W"])


def test_a_float_model_is_left_alone(tmp_path: Path) -> None:
    given = onnx.load(two_input_model(tmp_path / "m.onnx"))
    graph, quantized = float_graph(given)
    assert graph is given
    assert quantized is None


def test_a_pair_is_a_clip(tmp_path: Path) -> None:
    path = model(tmp_path, [QUANTIZE, WEIGHT, DEQUANTIZE, node("MatMul", ["x", "W"], ["Y"])])
    graph, quantized = rewritten(path)
    assert kinds(graph) == ["Clip", "MatMul"]
    (weight,) = quantized.weights
    assert weight.input_range is not None
    assert (weight.input_range.scale, weight.input_range.unsigned_zero) == (float(SCALE), 120)
    assert weight.reason == ""


def test_weights_that_are_turned_or_quantized_in_the_graph(tmp_path: Path) -> None:
    w = np.random.default_rng(2).normal(size=(16, 24)).astype(np.float32) / 100
    nodes = [
        node("QuantizeLinear", ["v", "u", "uz"], ["vq"], axis=0),
        node("DequantizeLinear", ["vq", "u", "uz"], ["V"], axis=0),
        QUANTIZE,
        DEQUANTIZE,
        node("Gemm", ["x", "V"], ["one"], transB=1),
        node("Transpose", ["V"], ["Vt"]),
        node("MatMul", ["x", "Vt"], ["other"]),
        node("Add", ["one", "other"], ["Y"]),
    ]
    more = {"v": w, "u": np.abs(w).max(1) / 127, "uz": np.zeros(16, np.int8)}
    graph, quantized = rewritten(model(tmp_path, nodes, **more))
    assert kinds(graph) == ["Clip", "Gemm", "MatMul", "Add"]
    one, other = quantized.weights
    assert one.reason == other.reason == ""
    assert np.array_equal(one.q, other.q)
    assert one.q.shape == (24, 16)
    assert np.array_equal(one.scale, np.abs(w).max(1) / 127)


def test_moves_clip_what_they_read(tmp_path: Path) -> None:
    nodes = [
        node("Slice", ["X", "zero", "twelve", "one"], ["a"]),
        node("Slice", ["X", "twelve", "end", "one"], ["b"]),
        node("Concat", ["a", "b"], ["c"], axis=1),
        node("Reshape", ["c", "shape"], ["d"]),
        node("QuantizeLinear", ["d", "s", "z"], ["q"]),
        node("Reshape", ["q", "flat"], ["r"]),
        node("DequantizeLinear", ["r", "s", "z"], ["x"]),
        WEIGHT,
        node("MatMul", ["x", "W"], ["Y"]),
    ]
    shapes = {"zero": [0], "twelve": [12], "end": [24], "one": [1]}
    more = {name: np.array(value, np.int64) for name, value in shapes.items()}
    more |= {"shape": np.array([-1, 4, 6]), "flat": np.array([-1, 24])}
    graph, quantized = rewritten(model(tmp_path, nodes, **more))
    assert kinds(graph).count("Clip") == 1
    assert kinds(graph)[0] == "Clip"
    assert quantized.weights[0].input_range is not None


def test_operators_on_bytes(tmp_path: Path) -> None:
    shared = ["s", "z"]
    nodes = [
        QUANTIZE,
        node("QLinearAdd", ["q", *shared, "q", *shared, *shared], ["a"], domain="com.microsoft"),
        node("QLinearMul", ["a", *shared, "q", *shared, *shared], ["p"], domain="com.microsoft"),
        node("QLinearSigmoid", ["p", *shared, *shared], ["g"], domain="com.microsoft"),
        node(
            "QLinearLeakyRelu",
            ["a", *shared, *shared],
            ["l"],
            domain="com.microsoft",
            alpha=0.1,
        ),
        node(
            "QLinearConcat",
            [*shared, "g", *shared, "l", *shared],
            ["c"],
            domain="com.microsoft",
            axis=1,
        ),
        node("QLinearMatMul", ["q", *shared, "w", "t", "wz", *shared], ["m"]),
        node("QGemm", ["q", *shared, "w", "t", "wz", "bias"], ["f"], domain="com.microsoft"),
        node("DequantizeLinear", ["c", *shared], ["y0"]),
        node("DequantizeLinear", ["m", *shared], ["y1"]),
        node("Concat", ["y0", "y1", "f"], ["Y"], axis=1),
    ]
    graph, quantized = rewritten(model(tmp_path, nodes, bias=np.arange(16, dtype=np.int32) * 100))
    assert {"Add", "Mul", "Sigmoid", "LeakyRelu", "MatMul", "Gemm"} <= set(kinds(graph))
    assert not any("Linear" in kind or kind.startswith("Q") for kind in kinds(graph))
    assert len(quantized.weights) == 2


def test_a_table_beyond_the_range_is_clipped_behind_the_look_up(tmp_path: Path) -> None:
    nodes = [
        node("Cast", ["X"], ["ids"], to=TensorProto.INT64),
        node("Gather", ["table", "ids"], ["e"]),
        node("QuantizeLinear", ["e", "s", "z"], ["q"]),
        node("DequantizeLinear", ["q", "s", "z"], ["Y"]),
    ]
    for scale, kind in ((1.0, "Gather"), (100.0, "Clip")):
        table = scale * np.linspace(-1, 1, 100, dtype=np.float32).reshape(20, 5)
        graph, _ = float_graph(onnx.load(model(tmp_path, nodes, table=table)))
        clip = ["Clip"] * (kind == "Clip")
        assert kinds(graph) == ["Cast", "Gather", *clip, *ROUNDED, "Identity"]


def test_a_table_keeps_its_name(tmp_path: Path) -> None:
    nodes = [
        node("Cast", ["X"], ["ids"], to=TensorProto.INT64),
        node("Gather", ["table", "ids"], ["q"]),
        node("DequantizeLinear", ["q", "t", "wz"], ["Y"]),
    ]
    table = np.arange(-50, 50, dtype=np.int8).reshape(20, 5)
    graph, _ = float_graph(onnx.load(model(tmp_path, nodes, table=table)))
    assert {t.name: t.data_type for t in graph.graph.initializer}["table"] == FLOAT


@pytest.mark.parametrize(
    ("nodes", "said"),
    [
        (
            [QUANTIZE, node("QLinearConv", ["q", *["s", "z"] * 3], ["Y"], "conv")],
            "node conv: QLinearConv",
        ),
        (
            [QUANTIZE, node("DequantizeLinear", ["q", "t", "z"], ["Y"], "second")],
            "node second: reads 'q' by another scale",
        ),
        (
            [QUANTIZE, node("Cast", ["q"], ["Y"], "cast", to=FLOAT)],
            "node cast: Cast reads the integers of 'q'",
        ),
        (
            [node("QuantizeLinear", ["X", "ss", "zz"], ["q"], "per_axis"), DEQUANTIZE],
            "node per_axis: an activation with a scale for each channel",
        ),
        (
            [QUANTIZE, node("MatMulInteger", ["q", "w"], ["i"], "sums")],
            "node sums: MatMulInteger of other than",
        ),
        (
            [node("DequantizeLinear", ["w16", "t", "z16"], ["Y"], "wide")],
            "node wide: a constant of int16",
        ),
        (
            [node("QuantizeLinear", ["X", "s", "z16"], ["q"], "wide"), DEQUANTIZE],
            "node wide: quantized to int16",
        ),
    ],
)
def test_what_is_refused(tmp_path: Path, nodes: list[Any], said: str) -> None:
    more = {
        "ss": np.full(24, SCALE),
        "zz": np.full(24, ZERO),
        "w16": np.zeros((24, 16), np.int16),
        "z16": np.int16(0),
    }
    path = model(tmp_path, nodes, opset=21, **more)
    with pytest.raises(UnsupportedError) as caught:
        float_graph(onnx.load(path))
    assert said in str(caught.value)


def test_the_file_is_named(tmp_path: Path) -> None:
    given = two_input_model(tmp_path / "float.onnx")
    x = np.random.default_rng(0).normal(size=(32, 5)).astype(np.float32)
    batch = {"X": x, "ids": np.arange(32) % 10}
    path = static(given, [batch], activations="QUInt16")
    with pytest.raises(UnsupportedError, match=r"QUInt16.*\.onnx: .*uint16"):
        import_onnx(path)


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
def test_a_pair_that_no_product_reads_rounds(tmp_path: Path, dtype: str) -> None:
    """Half to even, and saturated, as the quantized file itself."""
    nodes = [QUANTIZE, DEQUANTIZE, node("Sigmoid", ["x"], ["Y"])]
    zero = np.array(3, dtype)
    path = model(tmp_path, nodes, s=np.float32(0.25), z=zero)
    original = onnx.load(path)
    graph, _ = float_graph(original)
    assert kinds(graph) == ["Clip", *ROUNDED, "Sigmoid"]
    steps = np.arange(-24, 24, dtype=np.float32).reshape(2, 24) / 8
    x = np.concatenate([steps, steps * 1000, steps * 7])
    want, got = (open_reference(m)(["Y"], {"X": x})[0] for m in (original, graph))
    np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-7)


def test_a_pair_that_a_product_and_others_read_rounds(tmp_path: Path) -> None:
    nodes = [QUANTIZE, WEIGHT, DEQUANTIZE, node("MatMul", ["x", "W"], ["m"])]
    nodes += [node("ReduceSum", ["x"], ["r"], keepdims=1), node("Add", ["m", "r"], ["Y"])]
    graph, _ = float_graph(onnx.load(model(tmp_path, nodes)))
    assert kinds(graph) == ["Clip", *ROUNDED, "MatMul", "ReduceSum", "Add"]


def test_a_pair_that_is_moved_to_products_is_a_clip(tmp_path: Path) -> None:
    nodes = [QUANTIZE, WEIGHT, DEQUANTIZE, node("Identity", ["x"], ["i"])]
    nodes += [node("MatMul", ["i", "W"], ["Y"])]
    graph, _ = float_graph(onnx.load(model(tmp_path, nodes)))
    assert "Round" not in kinds(graph)
