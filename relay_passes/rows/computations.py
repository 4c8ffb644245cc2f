"""What becomes of the rows where values are computed: element by element, along axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm import relax

from rtcompile.relay_passes.matching import shape_of
from rtcompile.relay_passes.rows.layouts import FIXED, Layout, MixedError, Rows
from rtcompile.relay_passes.rows.operands import (
    Layouts,
    axes_of,
    flat,
    rank_of,
    refuse_along,
    rows_among,
)

__all__ = [
    "along_one_axis",
    "broadcast",
    "first_alone",
    "group_norm",
    "matmul",
    "reduced",
    "scattered",
]

_OTHER_ROWS = "reads other rows than the one that it writes"


def broadcast(call: Any, operands: Sequence[Any]) -> Layout:
    """Element by element, the operands' last axes under each other."""
    rank = rank_of(call)
    found = set()
    for argument, layout in zip(call.args, operands, strict=False):
        if isinstance(layout, Rows):
            found.add(layout.on(layout.axis + rank - rank_of(argument)))
    if len(found) > 1:
        raise MixedError("pairs rows with the rows of another operand that lie otherwise")
    if not found:
        return FIXED
    layout = found.pop()
    for argument, own in zip(call.args, operands, strict=False):
        if own is FIXED and isinstance(argument.ty, relax.TensorType):
            axis = layout.axis - rank + rank_of(argument)
            if axis >= 0 and (shape_of(argument) or ())[axis] != 1:
                raise MixedError("pairs rows with the values of an operand that has none")
    return layout


def reduced(call: Any, operands: Sequence[Any]) -> Layout:
    """A reduction over axes: sum, max, argmax."""
    layout, rank = operands[0], rank_of(call.args[0])
    axes = axes_of(call.attrs.axis, rank)
    refuse_along(call.args[0], layout, axes)
    if not isinstance(layout, Rows) or call.attrs.keepdims:
        return layout if isinstance(layout, Rows) else FIXED
    return layout.on(layout.axis - sum(axis < layout.axis for axis in axes))


def along_one_axis(call: Any, operands: Sequence[Any]) -> Layouts:
    """An operator along one axis, on which the others do not depend: softmax, sort, top-k."""
    layout = operands[0]
    refuse_along(call.args[0], layout, axes_of(call.attrs.axis, rank_of(call.args[0])))
    if isinstance(call.ty, relax.TupleType):
        return tuple(layout for _ in call.ty.fields)
    if (
        isinstance(layout, Rows)
        and call.attrs.axis is None
        and rank_of(call.args[0]) != rank_of(call)
    ):
        raise MixedError("flattens the batch")
    return layout


def scattered(call: Any, operands: Sequence[Any]) -> Layout:
    """scatter_elements: data, indices and updates of the same row."""
    refuse_along(call.args[0], operands[0], axes_of(call.attrs.axis, rank_of(call.args[0])))
    return _all_alike(operands)


def _all_alike(operands: Sequence[Any]) -> Layout:
    found = set(operands)
    if len(found) > 1:
        raise MixedError(_OTHER_ROWS)
    layout: Layout = found.pop()
    return layout


def matmul(call: Any, operands: Sequence[Any]) -> Layout:
    """A product of matrices, or of as many as the axes in front of the last two say."""
    (a, b), ranks = operands, [rank_of(argument) for argument in call.args]
    refuse_along(call.args[0], a, [ranks[0] - 1])
    refuse_along(call.args[1], b, [max(ranks[1] - 2, 0)])
    out = rank_of(call)
    found = set()
    if isinstance(a, Rows):
        in_matrix = a.axis == ranks[0] - 2
        found.add(a.on(out - 2 + (ranks[1] == 1) if in_matrix else a.axis + _batch_shift(ranks, 0)))
    if isinstance(b, Rows):
        last = b.axis == ranks[1] - 1
        found.add(b.on(out - 1 if last else b.axis + _batch_shift(ranks, 1)))
    if len(found) > 1:
        raise MixedError("has the batch on two axes: each row is paired with the other rows")
    return found.pop() if found else FIXED


def _batch_shift(ranks: list[int], which: int) -> int:
    return max(0, max(ranks) - ranks[which])


def group_norm(call: Any, operands: Sequence[Any]) -> Layout:
    """group_norm: along the axes and the channels."""
    rank = rank_of(call)
    axes = [*axes_of(call.attrs.axes, rank), int(call.attrs.channel_axis) % rank]
    refuse_along(call.args[0], operands[0], axes)
    layout: Layout = operands[0]
    return layout


def first_alone(call: Any, operands: Sequence[Any]) -> Layout:
    """Element by element of the first operand; the others are of no row."""
    if rows_among(flat(operands[1:])):
        raise MixedError(_OTHER_ROWS)
    layout: Layout = operands[0]
    return layout
