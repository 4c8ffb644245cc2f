"""The reference of quantized models multiplies bytes exactly, whatever the processor has."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from rtcompile.verification.exact_products import with_exact_products
from rtcompile.verification.reference import open_reference

ROWS, DEPTH, COLUMNS = 5, 67, 9
SCALE, STEP = np.float32(0.02), np.float32(3.0)
TYPES = {np.uint8: TensorProto.UINT8, np.int8: TensorProto.INT8}
PAIRS = [(a, b) for a in TYPES for b in TYPES]
# ONNX Runtime has no layers and convolutions of the other pairs.
LAYERS = [(np.uint8, np.uint8), (np.uint8, np.int8), (np.int8, np.int8)]
CONVOLUTIONS = {"ConvInteger": LAYERS[:2], "QLinearConv": LAYERS}

node = helper.make_node


def extremes(shape: tuple[int, ...], dtype: Any, seed: int = 0) -> npt.NDArray[Any]:
    """Bytes that are mostly the largest, so that sums of two products leave 16 bits."""
    limits = np.iinfo(dtype)
    drawn = np.random.default_rng(seed).choice(
        [limits.min, limits.max, 0, 1], shape, p=[0.25, 0.65, 0.05, 0.05]
    )
    return drawn.astype(dtype)


def run(nodes: list[Any], inputs: dict[str, Any], constants: dict[str, Any]) -> npt.NDArray[Any]:
    """Y of the reference."""
    tensors = [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()]
    values = [
        helper.make_tensor_value_info(k, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape)
        for k, v in inputs.items()
    ]
    graph = helper.make_graph(nodes, "g", values, [onnx.ValueInfoProto(name="Y")], tensors)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    return open_reference(model)(["Y"], inputs)[0]


def sums(a: Any, b: Any, za: int = 0, zb: Any = 0) -> npt.NDArray[np.int64]:
    found: npt.NDArray[np.int64] = (a.astype(np.int64) - za) @ (b.astype(np.int64) - zb)
    return found


@pytest.mark.parametrize(("first", "second"), PAIRS)
@pytest.mark.parametrize("constant", [True, False])
def test_sums_of_integers(first: Any, second: Any, constant: bool) -> None:
    a, b = extremes((ROWS, DEPTH), first), extremes((DEPTH, COLUMNS), second, 1)
    inputs, constants = {"a": a}, {"za": first(3), "zb": second(-3 if second is np.int8 else 3)}
    (constants if constant else inputs)["b"] = b
    got = run([node("MatMulInteger", ["a", "b", "za", "zb"], ["Y"])], inputs, constants)
    assert np.array_equal(got, sums(a, b, 3, int(constants["zb"])))
    got = run([node("MatMulInteger", ["a", "b"], ["Y"])], inputs, constants)
    assert np.array_equal(got, sums(a, b))


@pytest.mark.parametrize(("first", "second"), LAYERS)
@pytest.mark.parametrize("operator", ["QLinearMatMul", "QGemm"])
def test_layers_in_bytes(first: Any, second: Any, operator: str) -> None:
    a, b = extremes((ROWS, DEPTH), first), extremes((DEPTH, COLUMNS), second, 1)
    zb = np.full(COLUMNS, 2, second)
    scales = np.linspace(0.01, 0.03, COLUMNS, dtype=np.float32)
    constants = {"b": b, "s": SCALE, "za": first(1), "t": scales, "zb": zb}
    constants |= {"u": np.float32(40), "zy": first(4), "bias": np.zeros(COLUMNS, np.int32)}
    given = ["a", "s", "za", "b", "t", "zb"]
    domain = "com.microsoft" if operator == "QGemm" else ""
    given += ["bias", "u", "zy"] if operator == "QGemm" else ["u", "zy"]
    got = run([node(operator, given, ["Y"], domain=domain)], {"a": a}, constants)
    limits = np.iinfo(first)
    steps = np.rint(sums(a, b, 1, 2) * (np.float64(SCALE) * scales / 40)) + 4
    want = np.clip(steps, limits.min, limits.max)
    # A sum that lies between two steps may be rounded to either, in float32.
    assert np.abs(got.astype(np.int64) - want).max() <= 1
    assert np.mean(got != want) < 0.05


@pytest.mark.parametrize(
    ("operator", "first", "second"), [(k, *pair) for k, v in CONVOLUTIONS.items() for pair in v]
)
def test_convolutions(operator: str, first: Any, second: Any) -> None:
    a, b = extremes((ROWS, DEPTH, 1, 1), first), extremes((COLUMNS, DEPTH, 1, 1), second, 1)
    constants = {"b": b, "s": np.float32(1), "za": first(0), "zb": second(0)}
    want = sums(a[:, :, 0, 0], b[:, :, 0, 0].T)
    if operator == "ConvInteger":
        given = ["a", "b", "za", "zb"]
    else:
        constants |= {"u": np.float32(8192)}
        given = ["a", "s", "za", "b", "s", "zb", "u", "za"]
        want = np.clip(np.rint(want / 8192), np.iinfo(first).min, np.iinfo(first).max)
    got = run([node(operator, given, ["Y"])], {"a": a}, constants)
    assert np.array_equal(got[:, :, 0, 0], want)


@pytest.mark.parametrize("second", list(TYPES))
def test_quantize_and_dequantize_pairs(second: Any) -> None:
    """These are products of float32 in the reference, and no more off than those."""
    a, b = extremes((ROWS, DEPTH), np.uint8), extremes((DEPTH, COLUMNS), second, 1)
    nodes = [
        node("QuantizeLinear", ["a", "s", "z"], ["q"]),
        node("DequantizeLinear", ["q", "s", "z"], ["x"]),
        node("DequantizeLinear", ["b", "t"], ["w"]),
        node("MatMul", ["x", "w"], ["Y"]),
    ]
    constants = {"s": STEP, "t": SCALE, "z": np.uint8(0), "b": b}
    got = run(nodes, {"a": a * STEP}, constants)
    want = sums(a, b) * np.float64(STEP) * SCALE
    assert np.abs(got - want).max() <= 1e-6 * np.abs(want).max()


@pytest.mark.parametrize("second", list(TYPES))
@pytest.mark.parametrize("fused", [True, False])
def test_ranges_of_a_batch(second: Any, fused: bool) -> None:
    a, b = extremes((ROWS, DEPTH), np.uint8), extremes((DEPTH, COLUMNS), second, 1)
    a[0, 0] = 255  # the step is 1 then, and the zero point 0
    if fused:
        domain = "com.microsoft"
        nodes = [node("DynamicQuantizeMatMul", ["a", "b", "t"], ["Y"], domain=domain)]
    else:
        nodes = [
            node("DynamicQuantizeLinear", ["a"], ["q", "s", "z"]),
            node("MatMulInteger", ["q", "b", "z"], ["i"]),
            node("Cast", ["i"], ["f"], to=TensorProto.FLOAT),
            node("Mul", ["s", "t"], ["u"]),
            node("Mul", ["f", "u"], ["Y"]),
        ]
    got = run(nodes, {"a": a.astype(np.float32)}, {"b": b, "t": SCALE})
    want = sums(a, b) * np.float64(SCALE)
    assert np.abs(got - want).max() <= 1e-6 * np.abs(want).max()


def test_a_model_without_bytes_is_left_alone() -> None:
    value = helper.make_tensor_value_info("X", TensorProto.FLOAT, ["n"])
    graph = helper.make_graph([node("Relu", ["X"], ["Y"])], "g", [value], [])
    model = helper.make_model(graph)
    assert with_exact_products(model) is model
