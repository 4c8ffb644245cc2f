"""What bags a loop over offsets computes, found out by what it answers.

Exporters write such loops in many ways, and what one computes is not told from how it is written.
It is proposed from what the loop reads, one table, ids, offsets, perhaps weights, and held to what
the loop answers: bags of many sizes, without ids, of one id, with each id that may be padding.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from rtcompile.frontends.onnx.rewrite.bag_function import (
    BAGS,
    NO_PADDING,
    WEIGHTED,
    bag_function,
)
from rtcompile.frontends.onnx.rewrite.loop_turns import attributes_of, constant_of
from rtcompile.frontends.onnx.rewrite.settle_shapes import DOMAIN
from rtcompile.frontends.onnx.rewrite.shape_facts import reads_of
from rtcompile.frontends.onnx.tensors import in_memory

__all__ = ["INTEGERS", "Bag", "BagLoop", "recognised"]

Array = npt.NDArray[Any]

# Element types of ids and offsets.
INTEGERS = (TensorProto.INT32, TensorProto.INT64)
# A proposal is held on a table of as many rows as the model's, or, of more elements, of a few.
_MOST_ELEMENTS, _FEW_ROWS = 1 << 22, 64
# Ids a bag: what has none apart, as some graphs have no answer for it.
_FULL = (3, 5, 1, 4, 2, 6)
_WITH_EMPTY = (0, 3, 0, 0, 5, 1, 0)


@dataclass(frozen=True)
class BagLoop:
    """What a loop that may be of bags reads; `result` is what it gives, [bags, d]."""

    result: str
    nodes: tuple[Any, ...]
    table: Any
    integers: tuple[Any, Any]
    weights: str | None


@dataclass(frozen=True)
class Bag:
    """What a loop computes: one of `BAGS` of `ids`, cut by `offsets`. `last`: whether the last
    offset is the end of the last bag, and no bag's start."""

    ids: str
    offsets: str
    last: bool
    operator: str
    padding: int
    empty: float


@dataclass(frozen=True)
class _Trial:
    """Bags, and what the loop makes of them. `bounds` is int64 [bags, 2]."""

    ids: Array
    bounds: Array
    weights: Array
    answer: Array


def recognised(model: Any, loop: BagLoop, opset: int) -> Bag | None:
    """The bag that a loop computes, or None."""
    table = _trial_table(loop.table)
    original = _Original(model, loop, table)
    marked = [number for number in _numbers(model, loop) if 0 <= number < len(table)]
    for ids, offsets in (loop.integers, loop.integers[::-1]):
        for last in (False, True):
            full = original.ask(ids, offsets, last, _FULL, marked)
            if full is None:
                continue
            empty = original.ask(ids, offsets, last, _WITH_EMPTY, marked)
            found = _held(loop, table, [full, empty] if empty else [full], marked, opset)
            if found is not None:
                return Bag(ids.name, offsets.name, last, *found)
    return None


def _trial_table(tensor: Any) -> Array:
    """Random rows instead of the model's, which may be equal; of a large table fewer."""
    rows, columns = tensor.dims
    rows = rows if rows * columns <= _MOST_ELEMENTS else min(rows, _FEW_ROWS)
    return np.random.default_rng(0).normal(size=(rows, columns)).astype(np.float32)


def _numbers(model: Any, loop: BagLoop) -> list[int]:
    """The integers that a loop reads: an id that counts as not there would be one."""
    reads = set().union(*map(reads_of, loop.nodes))
    arrays = [numpy_helper.to_array(t) for t in model.graph.initializer if _is_number(t, reads)]
    waiting = list(loop.nodes)
    while waiting:
        node = waiting.pop()
        if node.op_type == "Constant":
            arrays.append(constant_of(node))
        for body in attributes_of(node).values():
            if isinstance(body, onnx.GraphProto):
                waiting += body.node
                arrays += [numpy_helper.to_array(t) for t in body.initializer]
    return sorted({int(a.reshape(-1)[0]) for a in arrays if a.size == 1 and a.dtype.kind == "i"})


def _is_number(tensor: Any, reads: set[str]) -> bool:
    return tensor.name in reads and tensor.data_type in INTEGERS and sum(tensor.dims) < 2


class _Original:
    """A loop alone, on another table."""

    def __init__(self, model: Any, loop: BagLoop, table: Array) -> None:
        self._loop, self._rows = loop, len(table)
        part = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
        graph, reads = part.graph, set().union(*map(reads_of, loop.nodes))
        graph.name = "loop"
        graph.node.extend(loop.nodes)
        graph.input.extend(value for value in model.graph.input if value.name in reads)
        others = [t for t in model.graph.initializer if t.name in reads - {loop.table.name}]
        graph.initializer.extend(
            [*map(in_memory, others), numpy_helper.from_array(table, loop.table.name)]
        )
        graph.output.append(onnx.ValueInfoProto(name=loop.result))
        self._evaluator = ReferenceEvaluator(part)

    def ask(
        self, ids: Any, offsets: Any, last: bool, sizes: Sequence[int], marked: list[int]
    ) -> _Trial | None:
        """What it answers to bags of these sizes, and one of each of the ids `marked`, which are
        among the others too; None where it has no answer, or one of another count of bags."""
        rng = np.random.default_rng(1)
        pool = np.append(marked, rng.integers(0, self._rows, 4)).astype(np.int64)
        drawn = rng.permutation(np.resize(pool, sum(sizes)))
        values = np.concatenate([drawn, np.array(marked, np.int64)])
        ends = np.cumsum([*sizes, *(1 for _ in marked)])
        starts = np.append(0, ends[:-1])
        weights = rng.normal(size=len(values)).astype(np.float32)
        given = {
            ids.name: values.astype(_dtype(ids)),
            offsets.name: (np.append(starts, ends[-1]) if last else starts).astype(_dtype(offsets)),
        }
        if self._loop.weights:
            given[self._loop.weights] = weights
        try:
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                (answer,) = self._evaluator.run(None, given)
        except Exception:  # of numpy's and onnx's, without a base class in common
            return None
        if np.ndim(answer) != 2 or len(answer) != len(starts):
            return None
        return _Trial(values, np.stack([starts, ends], 1), weights, answer)


def _dtype(value: Any) -> Any:
    return helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)


def _held(
    loop: BagLoop, table: Array, trials: Sequence[_Trial], marked: list[int], opset: int
) -> tuple[str, int, float] | None:
    """(operator, padding, what an empty bag is) that answer all trials as the loop does."""
    operators = [WEIGHTED] if loop.weights else [name for name in BAGS if name != WEIGHTED]
    empties = [t.answer[t.bounds[:, 0] == t.bounds[:, 1]].reshape(-1) for t in trials]
    empty = float(next((values[0] for values in empties if values.size), 0.0))
    for padding in (NO_PADDING, *marked):
        for operator in operators:
            run = _bag_evaluator(operator, padding, empty, opset)
            answers = [run(table, trial) for trial in trials]
            each = zip(answers, trials, strict=True)
            if all(np.allclose(a, t.answer, 1e-5, 1e-6, equal_nan=True) for a, t in each):
                return operator, padding, empty
    return None


def _bag_evaluator(operator: str, padding: int, empty: float, opset: int) -> Any:
    function = bag_function(operator, opset)
    names = list(function.input)
    attributes = {"padding": padding, "empty": empty}
    node = helper.make_node(operator, names, ["y"], domain=DOMAIN, **attributes)
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in (*names, "y")]
    graph = helper.make_graph([node], "bag", values[:-1], values[-1:])
    imports = [helper.make_opsetid("", opset), helper.make_opsetid(DOMAIN, 1)]
    model = helper.make_model(graph, opset_imports=imports, functions=[function])
    evaluator = ReferenceEvaluator(model)

    def run(table: Array, trial: _Trial) -> Any:
        given = (table, trial.ids, trial.bounds, trial.weights)
        with np.errstate(all="ignore"):
            return evaluator.run(None, dict(zip(names, given, strict=False)))[0]

    return run
