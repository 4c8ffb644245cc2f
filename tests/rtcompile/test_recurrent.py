"""GRU, LSTM and RNN: the compiled layer beside ONNX Runtime and onnx's reference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

import rtcompile
from rtcompile import runtime
from rtcompile.errors import UnsupportedError
from rtcompile.frontends.onnx.import_onnx import import_onnx
from rtcompile.options import BuildOptions
from tests.onnx_models import save
from tests.relay_passes.modules import calls

_FLOAT = TensorProto.FLOAT
_GATES = {"GRU": 3, "LSTM": 4, "RNN": 1}
_STEPS, _WIDTH = 5, 6


def _model(
    path: Path,
    operator: str,
    units: int,
    direction: str = "forward",
    *,
    initial: bool = False,
    lengths: bool = False,
    bias: bool = True,
    layout: int = 0,
    **attributes: Any,
) -> Path:
    """A graph of X [n, steps, width], states H [n, directions * units] and L [n], its layout's."""
    rng = np.random.default_rng(units)
    count, gates = 2 if direction == "bidirectional" else 1, _GATES[operator] * units
    constants = {
        "w": rng.normal(size=(count, gates, _WIDTH), scale=0.6).astype(np.float32),
        "r": rng.normal(size=(count, gates, units), scale=units**-0.5).astype(np.float32),
        "b": rng.normal(size=(count, 2 * gates)).astype(np.float32),
        "states": np.array([-1, count, units], np.int64),
    }
    inputs: dict[str, Any] = {"X": (_FLOAT, ["n", _STEPS, _WIDTH])}
    nodes = []
    x, given = "X", ["", "", ""]
    if layout == 0:
        nodes.append(helper.make_node("Transpose", ["X"], ["x"], perm=[1, 0, 2]))
        x = "x"
    if lengths:
        inputs["L"] = (TensorProto.INT32, ["n"])
        given[0] = "L"
    for place, name in enumerate(("H", "C") if operator == "LSTM" else ("H",)):
        if initial:
            inputs[name] = (_FLOAT, ["n", count * units])
            nodes.append(helper.make_node("Reshape", [name, "states"], [f"{name}r"]))
            given[1 + place] = f"{name}r"
            if layout == 0:
                given[1 + place] = f"{name}t"
                turn = helper.make_node("Transpose", [f"{name}r"], [f"{name}t"], perm=[1, 0, 2])
                nodes.append(turn)
    given = given if operator == "LSTM" else given[:2]
    results = ["y", "h", "c"] if operator == "LSTM" else ["y", "h"]
    fields = [x, "w", "r", "b" if bias else "", *given]
    while not fields[-1]:
        fields.pop()
    node = helper.make_node(operator, fields, results, direction=direction, layout=layout)
    node.attribute.append(helper.make_attribute("hidden_size", units))
    node.attribute.extend(helper.make_attribute(k, v) for k, v in attributes.items())
    nodes.append(node)
    back = {"y": [2, 0, 1, 3], "h": [1, 0, 2], "c": [1, 0, 2]}
    outputs = {}
    for name in results:
        perm = back[name] if layout == 0 else list(range(len(back[name])))
        nodes.append(helper.make_node("Transpose", [name], [name.upper() + "_out"], perm=perm))
        outputs[name.upper() + "_out"] = (_FLOAT, ["n", *[None] * (len(perm) - 1)])
    return save(path, nodes, constants, inputs, outputs)


def _inputs(path: Path, count: int, shortest: int = 1) -> dict[str, Any]:
    rng = np.random.default_rng(count)
    found: dict[str, Any] = {}
    for value in onnx.load(str(path)).graph.input:
        shape = [count, *(d.dim_value for d in value.type.tensor_type.shape.dim[1:])]
        if value.name == "L":
            found["L"] = rng.integers(shortest, _STEPS + 1, count).astype(np.int32)
        else:
            found[value.name] = rng.normal(size=shape, scale=2).astype(np.float32)
    return found


def _compiled(path: Path, verify: bool) -> runtime.Ranker:
    output = path.with_suffix(".rtc")
    rtcompile.build(path, BuildOptions(verify=verify), output=output)
    return runtime.load(output)


def _agree(ranker: runtime.Ranker, inputs: dict[str, Any], want: list[Any]) -> None:
    for got, expected in zip(ranker.predict(inputs).values(), want, strict=True):
        np.testing.assert_allclose(got, expected, rtol=4e-6, atol=4e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("operator", "units", "direction", "options"),
    [
        ("GRU", 16, "forward", {"linear_before_reset": 1}),
        ("GRU", 5, "reverse", {"linear_before_reset": 1, "initial": True}),
        ("GRU", 24, "bidirectional", {"linear_before_reset": 1, "lengths": True}),
        ("GRU", 40, "forward", {"initial": True, "lengths": True}),
        ("GRU", 3, "bidirectional", {"initial": True, "bias": False}),
        ("GRU", 16, "reverse", {"lengths": True, "activations": ["Sigmoid", "Tanh"]}),
        ("LSTM", 16, "forward", {}),
        ("LSTM", 7, "reverse", {"initial": True, "lengths": True}),
        ("LSTM", 33, "bidirectional", {"initial": True, "bias": False}),
        ("RNN", 16, "forward", {"lengths": True}),
        ("RNN", 70, "bidirectional", {"activations": ["Relu", "Relu"], "initial": True}),
        ("RNN", 1, "reverse", {"bias": False}),
    ],
)
def test_layers(
    tmp_path: Path, operator: str, units: int, direction: str, options: dict[str, Any]
) -> None:
    path = _model(tmp_path / "m.onnx", operator, units, direction, **options)
    session = onnxruntime.InferenceSession(str(path))
    ranker = _compiled(path, verify=True)
    for count in (1, 2, 3, 7, 64, 101):
        inputs = _inputs(path, count)
        _agree(ranker, inputs, session.run(None, inputs))


@pytest.mark.slow
@pytest.mark.parametrize("operator", ["GRU", "LSTM", "RNN"])
def test_rows_first(tmp_path: Path, operator: str) -> None:
    options: dict[str, Any] = {"linear_before_reset": 1} if operator == "GRU" else {}
    path = _model(
        tmp_path / "m.onnx", operator, 12, "bidirectional", layout=1, initial=True, **options
    )
    ranker = _compiled(path, verify=False)  # ONNX Runtime knows no layout but 0
    inputs = _inputs(path, 9)
    _agree(ranker, inputs, ReferenceEvaluator(str(path)).run(None, inputs))


def test_behind_a_length_nothing_changes(tmp_path: Path) -> None:
    path = _model(tmp_path / "m.onnx", "GRU", 8, lengths=True, initial=True)
    ranker = _compiled(path, verify=False)
    inputs = _inputs(path, 50, shortest=0)
    results = ranker.predict(inputs)
    inside = np.arange(_STEPS) < inputs["L"][:, None]
    assert not results["Y_out"][~inside].any()
    empty = inputs["L"] == 0
    assert empty.any()
    np.testing.assert_array_equal(results["H_out"][empty, 0], inputs["H"][empty])


@pytest.mark.slow
def test_a_state_of_zeros_costs_nothing(tmp_path: Path) -> None:
    path = _model(tmp_path / "m.onnx", "GRU", 8, initial=True)
    model = onnx.load(str(path))
    # As torch exports it: zeros of the batch's size.
    zeros = helper.make_tensor("zero", _FLOAT, [1], [0.0])
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Gather", ["s", "one"], ["rows"], axis=0),
        helper.make_node("Concat", ["one", "rows", "units"], ["shape"], axis=0),
        helper.make_node("ConstantOfShape", ["shape"], ["zeros"], value=zeros),
    ]
    kept = [n for n in model.graph.node if not set(n.output) & {"Hr", "Ht"}]
    for node in kept:
        node.input[:] = ["zeros" if name == "Ht" else name for name in node.input]
    del model.graph.node[:], model.graph.input[1:]
    model.graph.node.extend([kept[0], *nodes, *kept[1:]])
    for name, number in (("one", 1), ("units", 8)):
        model.graph.initializer.append(helper.make_tensor(name, TensorProto.INT64, [1], [number]))
    onnx.save(model, str(path))
    assert "rtc.recurrence.gru_first" in calls(import_onnx(path).module)
    _compiled(path, verify=True)


@pytest.mark.parametrize(
    ("operator", "attributes", "reason"),
    [
        ("GRU", {"activations": ["HardSigmoid", "Tanh"]}, "HardSigmoid, Tanh is not supported"),
        ("LSTM", {"clip": 3.0}, "the attribute clip"),
        ("LSTM", {"input_forget": 1}, "the attribute input_forget"),
        ("RNN", {"activations": ["Sigmoid"]}, "only with Tanh or Relu"),
    ],
)
def test_what_is_refused(
    tmp_path: Path, operator: str, attributes: dict[str, Any], reason: str
) -> None:
    path = _model(tmp_path / "m.onnx", operator, 4, **attributes)
    with pytest.raises(UnsupportedError, match=reason):
        _compiled(path, verify=True)


def test_peepholes_and_computed_weights_are_refused(tmp_path: Path) -> None:
    path = _model(tmp_path / "m.onnx", "LSTM", 4)
    model = onnx.load(str(path))
    node = next(n for n in model.graph.node if n.op_type == "LSTM")
    node.input.extend(["", "", "", "p"])
    peepholes = helper.make_tensor("p", _FLOAT, [1, 12], [0.5] * 12)
    model.graph.initializer.append(peepholes)
    onnx.save(model, str(path))
    with pytest.raises(UnsupportedError, match="peepholes"):
        _compiled(path, verify=True)
    del node.input[4:]
    shape = next(list(t.dims) for t in model.graph.initializer if t.name == "r")
    model.graph.input.append(helper.make_tensor_value_info("given", _FLOAT, shape))
    turned = helper.make_node("Sigmoid", ["given"], ["r2"])
    model.graph.node.insert(0, turned)
    node = next(n for n in model.graph.node if n.op_type == "LSTM")
    node.input[2] = "r2"
    onnx.save(model, str(path))
    with pytest.raises(UnsupportedError, match="weights are computed"):
        _compiled(path, verify=True)
