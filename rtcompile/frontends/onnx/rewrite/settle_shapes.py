"""Settle what a graph computes of its extents, so that only data is left to compute.

    Reshape(x, Concat(Shape(x)[0:1], [4, -1]))    ->   Reshape(x, [-1, 4, 8])
    Range(0, Shape(x)[1], 1)                      ->   [0, 1, ..., 19]
    Expand(x, [1, 50, 1])                         ->   Mul(x, ones([1, 50, 1]))
    Tile(w, [n, 1, 1]), Expand(w, [n, 4, 8])      ->   Rows(w)
    ConstantOfShape([n, 4])                       ->   Rows(zeros([1, 4]))
    Add(x, Expand(0.5, Shape(x)))                 ->   Add(x, 0.5)

`Rows` is an operator of ours, known to the importer alone: it repeats w, whose first extent is one,
for each row of the batch. (x * 1 is x for every float and integer, NaN included.) What counts the
rows and is used as a number is left as it is, and refused behind.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from rtcompile.errors import UnsupportedError
from rtcompile.frontends.onnx.rewrite.graph_edit import GraphEdit, names_of, with_nodes
from rtcompile.frontends.onnx.rewrite.loop_turns import attributes_of
from rtcompile.frontends.onnx.rewrite.shape_facts import Line, ShapeFacts

__all__ = ["DOMAIN", "ROWS", "settle_shapes"]

# The domain of operators that only the importer knows.
DOMAIN = "rtcompile"
ROWS = "Rows"

_BATCH: Line = (1, 0)

# What makes a value that depends on shapes alone.
_SOURCES = frozenset(("Shape", "Size", "Range", "ConstantOfShape", "EyeLike"))

_READS_SHAPES = _SOURCES | {"Expand", "Tile"}

_MULTIPLIED = (
    TensorProto.FLOAT,
    TensorProto.DOUBLE,
    TensorProto.FLOAT16,
    TensorProto.INT32,
    TensorProto.INT64,
)

_BROADCASTING = frozenset(
    {
        *("Add", "And", "Div", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Max"),
        *("Min", "Mod", "Mul", "Or", "Pow", "Sub", "Where"),
    }
)


def settle_shapes(model: Any, opset: int) -> Any:
    """A copy of `model` with that settled; the same object where nothing reads a shape."""
    if not any(node.op_type in _READS_SHAPES for node in model.graph.node):
        return model
    return _Settled(model, opset).rewritten()


class _Settled:
    def __init__(self, model: Any, opset: int) -> None:
        self._model, self._facts = model, ShapeFacts(model)
        self._edit = GraphEdit("settled", opset, names_of(model))
        self._of_shapes: set[str] = set()

    def rewritten(self) -> Any:
        """The model. Raises UnsupportedError for an output that is the number of rows."""
        rules: dict[str, Callable[[Any], bool]] = {
            "Reshape": self._reshape,
            "Expand": self._expand,
            "Tile": self._tile,
            "ConstantOfShape": self._filled,
            "Slice": self._slice,
        }
        for node in self._model.graph.node:
            reads = self._of_shapes.intersection(node.input)
            if node.op_type in _SOURCES or reads:
                self._of_shapes.update(node.output)
            if not self._constant(node) and not rules.get(node.op_type, _never)(node):
                self._edit.nodes.append(self._without_expansions(node))
            self._check_output(node)
        return with_nodes(self._model, self._edit.nodes, self._edit.constants)

    def _check_output(self, node: Any) -> None:
        outputs = {output.name for output in self._model.graph.output}
        for name in outputs.intersection(node.output):
            if self._facts.lines(name) is not None and self._facts.constant(name) is None:
                raise UnsupportedError(
                    f"node {node.name or name} ({node.op_type}) gives an output that counts the "
                    "rows of the request; keep the other outputs"
                )

    # -- helpers ----------------------------------------------------------------------------------

    def _bind(self, node: Any, value: str) -> bool:
        self._edit.nodes.append(helper.make_node("Identity", [value], [node.output[0]], node.name))
        return True

    def _replace(self, node: Any, operator: str, *inputs: str, **attributes: Any) -> bool:
        made = helper.make_node(operator, list(inputs), [node.output[0]], node.name, **attributes)
        self._edit.nodes.append(made)
        return True

    def _constant(self, node: Any) -> bool:
        """What depends on shapes, and is the same at every batch, is a constant."""
        if not self._of_shapes.intersection(node.output) or len(node.output) != 1:
            return False
        array = self._facts.constant(node.output[0])
        if array is None:
            return False
        self._edit.constants.append(numpy_helper.from_array(array, node.output[0]))
        return True

    # -- operators that take a shape --------------------------------------------------------------

    def _reshape(self, node: Any) -> bool:
        """To a shape that was computed: its extents, the one with the batch in it as -1."""
        target = self._facts.shape(node.output[0])
        if target is None or self._facts.constant(node.input[1]) is not None:
            return False
        wanted = _reshape_target(target)
        return wanted is not None and self._replace(
            node, "Reshape", node.input[0], self._edit.constant(wanted)
        )

    def _slice(self, node: Any) -> bool:
        """x[0:n] of n rows is x."""
        bounds = [name for name in node.input[1:] if name]
        if not any(self._facts.reads_the_batch(name) for name in bounds):
            return False
        if any(self._facts.lines(name) is None for name in bounds):
            return False
        steps = self._facts.constant(node.input[4]) if len(node.input) > 4 else np.ones(1)
        same = self._facts.shape(node.input[0]) == self._facts.shape(node.output[0]) is not None
        if steps is None or (steps != 1).any() or not same:
            return False
        return self._bind(node, node.input[0])

    def _expand(self, node: Any) -> bool:
        target, source = self._facts.shape(node.output[0]), self._facts.shape(node.input[0])
        kind = self._facts.types.get(node.input[0], 0)
        if target is None or source is None:
            return False
        source = [(0, 1)] * (len(target) - len(source)) + source
        if source == target and self._facts.rank(node.input[0]) == len(target):
            return self._bind(node, node.input[0])
        rest = [(0, 1) if have == want else want for have, want in zip(source, target, strict=True)]
        if any(slope for slope, _ in rest):
            return self._rows(node, node.input[0], source, target)
        if kind not in _MULTIPLIED:
            return False
        ones = np.ones([extent for _, extent in rest], helper.tensor_dtype_to_np_dtype(kind))
        return self._replace(node, "Mul", node.input[0], self._edit.constant(ones, ones.dtype))

    def _tile(self, node: Any) -> bool:
        times, source = self._facts.lines(node.input[1]), self._facts.shape(node.input[0])
        if times is None or source is None or not any(slope for slope, _ in times):
            return False
        each = zip(times, source, strict=True)
        if any(slope and extent != (0, 1) for (slope, _), extent in each):
            return self._tile_parts(node, times, source)
        name = self._times(node.input[0], [0 if a else b for a, b in times])
        target = [
            t if t[0] else (a * t[1], b * t[1]) for t, (a, b) in zip(times, source, strict=True)
        ]
        known = [(0, 1) if t[0] else extent for t, extent in zip(times, target, strict=True)]
        return self._rows(node, name, known, target)

    def _tile_parts(self, node: Any, times: list[Line], source: list[Line]) -> bool:
        """Tile(w [4, 8], [n, 1]): w is [1, 4, 8], for each row, the first two axes as one."""
        if times[0] != _BATCH or any(a for a, _ in (*times[1:], *source)):
            return False
        name = self._times(node.input[0], [1, *(b for _, b in times[1:])])
        extents = [
            source[0][1],
            *(b * t[1] for (_, b), t in zip(source[1:], times[1:], strict=True)),
        ]
        whole = self._edit.unsqueeze(name, 0)
        rows = self._edit.node(ROWS, whole, domain=DOMAIN, axis=0)
        merged = self._edit.constant([-1, *extents[1:]])
        return self._replace(node, "Reshape", rows, merged)

    def _times(self, name: str, times: list[int]) -> str:
        """`name` tiled by fixed numbers; 0 stands for those that are not."""
        fixed = [time or 1 for time in times]
        return (
            name if set(fixed) <= {1} else self._edit.node("Tile", name, self._edit.constant(fixed))
        )

    def _filled(self, node: Any) -> bool:
        extents = self._facts.lines(node.input[0])
        if extents is None or not any(slope for slope, _ in extents):
            return False
        value = attributes_of(node).get("value")
        fill = np.zeros(1, np.float32) if value is None else numpy_helper.to_array(value)
        one = np.full([1 if slope else extent for slope, extent in extents], fill.reshape(-1)[0])
        name = self._edit.constant(one, fill.dtype)
        return self._rows(node, name, [(0, e) for e in one.shape], extents)

    def _rows(self, node: Any, name: str, source: list[Line], target: list[Line]) -> bool:
        """`name`, whose extents are `source`, broadcast to `target`, which has the batch once."""
        at = [axis for axis, extent in enumerate(target) if extent[0]]
        if len(at) != 1 or source[at[0]] != (0, 1):
            return False
        axis, share = at[0], target[at[0]]
        if share[1]:
            return False
        fixed = [1 if axis == a else extent for a, (_, extent) in enumerate(target)]
        if [extent for _, extent in source] != fixed or self._facts.rank(name) != len(target):
            ones = self._edit.constant(fixed)
            name = self._edit.node("Expand", name, ones) if name in self._facts.types else name
        if share == _BATCH:
            made = helper.make_node(
                ROWS, [name], [node.output[0]], node.name, domain=DOMAIN, axis=axis
            )
            self._edit.nodes.append(made)
            return True
        # [.., k * n, ..]: k values a row, the batch behind them as in a flattened tensor
        split = self._edit.unsqueeze(name, axis)
        wide = [*fixed[:axis], 1, share[0], *fixed[axis + 1 :]]
        many = self._edit.node("Expand", split, self._edit.constant(wide))
        rows = self._edit.node(ROWS, many, domain=DOMAIN, axis=axis)
        merged = [*fixed[:axis], -1, *fixed[axis + 1 :]]
        return self._replace(node, "Reshape", rows, self._edit.constant(merged))

    # -- what broadcasts by itself ----------------------------------------------------------------

    def _without_expansions(self, node: Any) -> Any:
        """Operands of one value, as wide as the batch, as that value; one factor less."""
        result = self._facts.shape(node.output[0])
        if result is None or node.op_type not in _BROADCASTING:
            return node
        inputs = list(node.input)
        for at, name in enumerate(node.input):
            others = [other for position, other in enumerate(inputs) if position != at]
            if name not in self._of_shapes or not self._covers(others, result):
                continue
            value = self._one_value(name)
            if value is not None:
                inputs[at] = self._edit.constant(value, value.dtype)
                if node.op_type == "Mul" and value == 1:
                    return helper.make_node("Identity", others, list(node.output), node.name)
        if inputs == list(node.input):
            return node
        changed = onnx.NodeProto()
        changed.CopyFrom(node)
        changed.input[:] = inputs
        return changed

    def _covers(self, names: list[str], result: list[Line]) -> bool:
        """Whether these alone broadcast to `result`."""
        shapes = [self._facts.shape(name) for name in names]
        reach = [(0, 1)] * len(result)
        for shape in shapes:
            for axis, extent in enumerate(reversed(shape or ())):
                if extent != (0, 1) and axis < len(reach):
                    reach[axis] = extent
        return reach[::-1] == result

    def _one_value(self, name: str) -> Any:
        """The value that all elements of `name` have at every batch, if they do and it has rows."""
        found = self._facts.at_each(name)
        if found is None or self._facts.constant(name) is not None or not found[0].size:
            return None
        first = found[0].reshape(-1)[0]
        return first if all((array == first).all() for array in found) else None


def _reshape_target(extents: list[Line]) -> list[int] | None:
    """The shape that Reshape is given for these extents, at most one of which has the batch."""
    with_batch = [extent for extent in extents if extent[0]]
    if len(with_batch) > 1 or any(start for _, start in with_batch):
        return None
    return [-1 if slope else start for slope, start in extents]


def _never(_: Any) -> bool:
    return False
