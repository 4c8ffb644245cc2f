"""A build of another model than the original is noticed, however little they differ."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from rtcompile.compile.compiler import Compiler
from rtcompile.errors import VerificationError
from rtcompile.frontends.onnx.import_onnx import import_onnx
from rtcompile.options import BuildOptions
from rtcompile.targets import resolve_target
from rtcompile.verification.differences import Verification
from rtcompile.verification.network import verify_network
from tests.onnx_models import save

pytestmark = pytest.mark.slow

FLOAT, INT64, INT32 = TensorProto.FLOAT, TensorProto.INT64, TensorProto.INT32
ROWS, LENGTH = 50, 6
node = helper.make_node


def small_model(path: Path) -> Path:
    """Y = sigmoid([X, mean of E[hist], count] @ w + b); hist is padded with 0; Z = 3 // divisor."""
    rng = np.random.default_rng(0)
    constants = {
        "E": rng.normal(size=(ROWS, 4)).astype(np.float32),
        "w": rng.normal(size=(10, 1)).astype(np.float32),
        "b": np.float32([0.1]),
        "zero": np.int64(0),
        "one": np.int64([1]),
        "axis": np.int64([2]),
        "three": np.int64(3),
        "tiny": np.float32(1e-3),
    }
    nodes = [
        node("Gather", ["E", "hist"], ["e"]),
        node("Equal", ["hist", "zero"], ["empty"]),
        node("Not", ["empty"], ["there"]),
        node("Cast", ["there"], ["mask"], to=FLOAT),
        node("Unsqueeze", ["mask", "axis"], ["mask3"]),
        node("Mul", ["e", "mask3"], ["kept"]),
        node("ReduceSum", ["kept", "one"], ["sum"], keepdims=0),
        node("ReduceSum", ["mask", "one"], ["n"], keepdims=1),
        node("Add", ["n", "tiny"], ["n1"]),
        node("Div", ["sum", "n1"], ["mean"]),
        node("Cast", ["count"], ["c"], to=FLOAT),
        node("Mul", ["c", "tiny"], ["c1"]),
        node("Tanh", ["c1"], ["c2"]),
        node("Concat", ["X", "mean", "c2"], ["x"], axis=1),
        node("Gemm", ["x", "w", "b"], ["z"]),
        node("Sigmoid", ["z"], ["Y"]),
        node("Div", ["three", "divisor"], ["Z"]),
    ]
    inputs = {
        "X": (FLOAT, ["n", 5]),
        "hist": (INT64, ["n", LENGTH]),
        "count": (INT64, ["n", 1]),
        "divisor": (INT64, ["n", 1]),
    }
    outputs = {"Y": (FLOAT, ["n", 1]), "Z": (INT64, ["n", 1])}
    return save(path, nodes, constants, inputs, outputs)


def changed_constant(name: str, change: Callable[[Any], None]) -> Callable[[Any], None]:
    def apply(graph: Any) -> None:
        tensor = next(t for t in graph.initializer if t.name == name)
        values = np.array(numpy_helper.to_array(tensor))
        change(values)
        tensor.CopyFrom(numpy_helper.from_array(values, name))

    return apply


def _swap(values: Any) -> None:
    values[[0, 1]] = values[[1, 0]]


def _add(place: Any, value: float) -> Callable[[Any], None]:
    def change(values: Any) -> None:
        values[place] += value

    return change


def between(value: str, *nodes: Any) -> Callable[[Any], None]:
    """Put nodes that make NEW of OLD behind `value`."""

    def apply(graph: Any) -> None:
        kept = list(graph.node)
        at = 1 + next((i for i, n in enumerate(kept) if value in n.output), -1)
        for one in kept[at:]:
            for k, name in enumerate(one.input):
                if name == value:
                    one.input[k] = "NEW"
        for one in nodes:
            for k, name in enumerate(one.input):
                if name == "OLD":
                    one.input[k] = value
        del graph.node[:]
        graph.node.extend([*kept[:at], *nodes, *kept[at:]])

    return apply


def _cast(given: str, made: str, to: int) -> Any:
    return node("Cast", [given], [made], to=to)


def _as_double(graph: Any) -> None:
    last = next(n for n in graph.node if n.op_type == "Sigmoid")
    last.output[0] = "single"
    graph.node.append(node("Cast", ["single"], ["Y"], to=TensorProto.DOUBLE))
    graph.output[0].type.tensor_type.elem_type = TensorProto.DOUBLE


def _summed(graph: Any) -> None:
    division = next(n for n in graph.node if "mean" in n.output)
    graph.node.insert(list(graph.node).index(division), node("Identity", ["sum"], ["mean"]))
    graph.node.remove(division)


def _nothing(graph: Any) -> None:
    pass


FAULTS: dict[str, tuple[Callable[[Any], None], str]] = {
    "two weights swapped": (changed_constant("w", _swap), "instead of"),
    "a bias off by 1e-5": (changed_constant("b", _add(0, 1e-5)), "instead of"),
    "the last row of a table": (changed_constant("E", _add((-1, 0), 0.01)), "instead of"),
    "sum for mean": (_summed, "instead of"),
    "doubles": (_as_double, "of float64 instead of float32"),
    "integers cut to 32 bits": (
        between(
            "count",
            node("Cast", ["OLD"], ["cut"], to=INT32),
            node("Cast", ["cut"], ["NEW"], to=INT64),
        ),
        "extreme integers",
    ),
    "ids past the table clipped": (
        between(
            "hist", node("Max", ["OLD", "zero"], ["low"]), node("Min", ["low", "last"], ["NEW"])
        ),
        "id 50 of input 'hist', which is past the end",
    ),
    "huge numbers clipped": (
        between("X", node("Max", ["OLD", "least"], ["low"]), node("Min", ["low", "most"], ["NEW"])),
        "instead of",
    ),
    "NaN made 0": (
        between(
            "X",
            node("IsNaN", ["OLD"], ["odd"]),
            node("Where", ["odd", "none", "OLD"], ["NEW"]),
        ),
        r"instead of nan .*NaN",
    ),
    "infinity made large": (
        between(
            "X",
            node("Max", ["OLD", "lowest"], ["low"]),
            node("Min", ["low", "highest"], ["NEW"]),
        ),
        "inf",
    ),
    "padding that leaks": (between("mask", node("Max", ["OLD", "leak"], ["NEW"])), "instead of"),
}
EXTRA = {
    "last": np.int64(ROWS - 1),
    "least": np.float32(-6),
    "most": np.float32(6),
    "leak": np.float32(1e-4),
    "none": np.float32(0),
    "lowest": np.finfo(np.float32).min,
    "highest": np.finfo(np.float32).max,
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_noticed(name: str, tmp_path: Path) -> None:
    plant, message = FAULTS[name]
    with pytest.raises(VerificationError, match=message):
        verify(tmp_path, plant)


def test_what_is_no_fault_is_verified(tmp_path: Path) -> None:
    assert verify(tmp_path, _nothing).largest_difference < 1e-6


def verify(tmp_path: Path, plant: Callable[[Any], None]) -> Verification:
    """Verify a build of the model with a fault against the model without."""
    original = small_model(tmp_path / "original.onnx")
    model = onnx.load(original)
    model.graph.initializer.extend(numpy_helper.from_array(v, k) for k, v in EXTRA.items())
    plant(model.graph)
    onnx.save(model, tmp_path / "faulty.onnx")
    target = resolve_target("host")
    compiler = Compiler(tmp_path / "faulty.onnx", None, BuildOptions(), target, lambda step: None)
    candidate = compiler.compile()
    graph = import_onnx(original)
    return verify_network(graph, None, candidate.manifest, candidate.sections)
