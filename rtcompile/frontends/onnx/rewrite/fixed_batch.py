"""Give a graph whose batch is the number 1 a dynamic batch.

    input [1, 8]                           ->   input [n, 8]
    Reshape(x, [1, 4, 2]), of [n, 8]       ->   Reshape(x, [-1, 4, 2])
    Reshape(x, [4, 2]), of [n, 8]          ->   Reshape(x, [-1, 2]), the batch in front of the 4
    Concat(x, w), w of [1, 3]              ->   Concat(x, Expand(w, [n, 3]))
    LSTM(x, .., h), h of [1, 1, 6]         ->   LSTM(x, .., Expand(h, [1, n, 6]))

Exporters without dynamic axes write such graphs: each extent of 1 may be the batch or may be not.
The batch is followed from the inputs. Each value must keep the extents at n = 1 that the file has,
and have the batch in it where what it is computed of has; what cannot is refused by its node.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
import onnx
from onnx import helper

from rtcompile.errors import UnsupportedError
from rtcompile.frontends.onnx.rewrite.graph_edit import (
    GraphEdit,
    names_of,
    node_name,
    with_nodes,
)
from rtcompile.frontends.onnx.rewrite.loop_turns import attributes_of
from rtcompile.frontends.onnx.rewrite.shape_facts import Line, ShapeFacts

__all__ = ["FIXED_BATCH", "with_dynamic_batch"]

_BATCH: Line = (1, 0)
_ONE: Line = (0, 1)
# What to do where the batch cannot be freed.
FIXED_BATCH = "the model's batch is fixed at 1: export it with a dynamic batch"

# Their results are extents, not rows.
_OF_EXTENTS = frozenset(("Shape", "Size"))

# What names rows by their number: the number 0 in the file, whichever row it is for.
_BY_NUMBER = frozenset(("GatherND", "ScatterND"))

# Operand -> the axis of the batch, of recurrent layers with the batch on the second axis of x.
_RECURRENT = {"LSTM": (5, 6), "GRU": (5,), "RNN": (5,)}

# Operators whose operands must have as many rows as their first.
_ROW_BY_ROW = frozenset(("GatherElements", "ScatterElements"))


def with_dynamic_batch(model: Any, opset: int) -> Any:
    """A copy of `model` whose batch is dynamic; the same object where it has no batch of 1.

    Raises UnsupportedError that names the node which fixes the batch.
    """
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in constants]
    firsts = [
        value.type.tensor_type.shape.dim[0] for value in inputs if value.type.tensor_type.shape.dim
    ]
    if not firsts or any(first.dim_value != 1 for first in firsts):
        return model
    free = onnx.ModelProto()
    free.CopyFrom(model)
    names = {value.name for value in inputs}
    for value in free.graph.input:
        if value.name in names and value.type.tensor_type.shape.dim:
            value.type.tensor_type.shape.dim[0].dim_param = "batch"
    del free.graph.value_info[:]
    for output in free.graph.output:
        output.type.tensor_type.ClearField("shape")
    before = ShapeFacts(model)
    while True:
        facts = ShapeFacts(free)
        changed = _Freed(free, facts, opset).rewritten()
        if changed is None:
            _check(free, before, facts)
            return free
        free = changed


class _Freed:
    """One round: what can be told from the extents that are known so far."""

    def __init__(self, model: Any, facts: ShapeFacts, opset: int) -> None:
        self._model, self._facts = model, facts
        self._edit = GraphEdit("batch", opset, names_of(model))

    def rewritten(self) -> Any:
        """The model with more of it by the batch; None where all is."""
        changed = False
        for node in self._model.graph.node:
            made = self._changed(node)
            changed |= made is not None
            self._edit.nodes.append(node if made is None else made)
        if not changed:
            return None
        return with_nodes(self._model, self._edit.nodes, self._edit.constants)

    def _changed(self, node: Any) -> Any:
        if node.op_type == "Reshape":
            return self._reshape(node)
        if node.op_type in _RECURRENT and not attributes_of(node).get("layout"):
            return self._repeated(node, _RECURRENT[node.op_type], 1)
        if node.op_type == "Concat" or node.op_type in _ROW_BY_ROW:
            axis = self._axis(node.input)
            own = attributes_of(node).get("axis", 0)
            rank = self._facts.rank(node.input[0]) or 1
            if axis is not None and own % rank != axis:
                return self._repeated(node, range(len(node.input)), axis)
        return None

    def _reshape(self, node: Any) -> Any:
        data, wanted = self._facts.shape(node.input[0]), self._facts.constant(node.input[1])
        if not data or wanted is None:
            return None
        axes = [axis for axis, (slope, _) in enumerate(data) if slope]
        if len(axes) != 1 or data[axes[0]][1]:
            return None
        extents = _at_one(data, wanted, attributes_of(node).get("allowzero", 0))
        before = _product([extent for _, extent in data[: axes[0]]])
        places = [at for at in range(len(extents)) if _product(extents[:at]) == before]
        # At an extent of 1 if there is one.
        places = [at for at in places if extents[at] == 1] or places
        target = self._facts.shape(node.output[0])
        if not places or target in [_lines(extents, place) for place in places]:
            return None
        place = axes[0] if axes[0] in places else places[0]
        shape = self._edit.constant([*extents[:place], -1, *extents[place + 1 :]])
        return helper.make_node("Reshape", [node.input[0], shape], list(node.output), node.name)

    def _axis(self, names: Sequence[str]) -> int | None:
        """The one axis of these that is the batch, in whichever has it."""
        shapes = [self._facts.shape(name) for name in names]
        axes = {
            axis
            for shape in shapes
            if shape is not None
            for axis, extent in enumerate(shape)
            if extent == _BATCH
        }
        return axes.pop() if len(axes) == 1 else None

    def _repeated(self, node: Any, places: Sequence[int], axis: int) -> Any:
        """The node with its operands at `places` that have an extent of one on `axis` repeated."""
        inputs = list(node.input)
        source = next((n for n in inputs if n and self._has_batch(n, axis)), None)
        for place in places:
            shape = self._facts.shape(inputs[place]) if place < len(inputs) else None
            if source is None or not shape or len(shape) <= axis or shape[axis] != _ONE:
                continue
            if not any(slope for slope, _ in shape):
                extents = self._edit.node("Shape", source)
                rows = self._edit.node("Gather", extents, self._edit.constant([axis]), axis=0)
                parts = [self._edit.constant([extent]) for _, extent in shape]
                parts[axis] = rows
                whole = self._edit.node("Concat", *parts, axis=0)
                inputs[place] = self._edit.node("Expand", inputs[place], whole)
        if inputs == list(node.input):
            return None
        changed = onnx.NodeProto()
        changed.CopyFrom(node)
        changed.input[:] = inputs
        return changed

    def _has_batch(self, name: str, axis: int) -> bool:
        shape = self._facts.shape(name)
        return bool(shape) and len(shape or ()) > axis and (shape or [])[axis] == _BATCH


def _product(extents: Sequence[int]) -> int:
    return int(np.prod(extents, dtype=np.int64))


def _at_one(data: Sequence[Line], wanted: Any, allowzero: int) -> list[int]:
    """The extents that a Reshape to `wanted` has in the file."""
    extents = [int(extent) for extent in wanted.reshape(-1)]
    if not allowzero:
        extents = [sum(data[at]) if e == 0 else e for at, e in enumerate(extents)]
    if -1 in extents:
        rest = _product([extent for extent in extents if extent != -1])
        extents[extents.index(-1)] = _product([sum(line) for line in data]) // max(rest, 1)
    return extents


def _lines(extents: list[int], place: int) -> list[Line]:
    """`extents` with the batch in front of what is at `place`."""
    return [(extent, 0) if at == place else (0, extent) for at, extent in enumerate(extents)]


def _check(model: Any, before: ShapeFacts, facts: ShapeFacts) -> None:
    """Every value has the file's extents at one row, and rows where its operands have."""
    for node in model.graph.node:
        if node.op_type in _OF_EXTENTS:
            continue
        shapes = [facts.shape(name) for name in node.input if name]
        rows = any(slope for shape in shapes if shape for slope, _ in shape)
        if not rows:
            continue
        if node.op_type in _BY_NUMBER and not attributes_of(node).get("batch_dims"):
            _refuse(node, "names rows by their number")
        for name in node.output:
            shape, file = facts.shape(name), before.shape(name)
            if shape is None or file is None:
                continue
            if [slope + start for slope, start in shape] != [sum(line) for line in file]:
                _refuse(node, f"has {_text(shape)} where the file has {_text(file)}")
            if not any(slope for slope, _ in shape):
                _refuse(node, f"makes {_text(file)} of it, whatever the count of rows")


def _text(shape: Sequence[Line]) -> str:
    return f"[{', '.join('n' if slope else str(start) for slope, start in shape)}]"


def _refuse(node: Any, why: str) -> NoReturn:
    raise UnsupportedError(f"node {node_name(node)} ({node.op_type}) {why}; {FIXED_BATCH}")
