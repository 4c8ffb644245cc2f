"""What becomes of the rows where elements only change their places: no value is computed."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from tvm import relax

from rtcompile.relay_passes.matching import shape_of
from rtcompile.relay_passes.rows.layouts import FIXED, Layout, MixedError, Rows, row_extents
from rtcompile.relay_passes.rows.operands import Layouts, axes_of, rank_of, refuse_along, rows_among

__all__ = ["joined", "permuted", "reshaped", "sliced", "split", "taken", "tiled"]


def reshaped(call: Any, operands: Sequence[Any]) -> Layout:
    """The elements keep their order."""
    layout, source = operands[0], shape_of(call.args[0])
    target = row_extents(call.ty)
    if not isinstance(layout, Rows):
        return FIXED
    if source is None or target is None:
        raise MixedError("gives a tensor whose shape is not known when the model is built")
    before = prod(int(extent) for extent in source[: layout.axis]) * layout.outer
    at = [axis for axis, extent in enumerate(target) if extent != 0]
    if len(at) != 1 or target[at[0]] is None:
        raise MixedError("reshapes the batch into the axes of a row")
    axis, many = at[0], target[at[0]] or 1
    front = prod(int(extent) for extent in (shape_of(call) or ())[:axis])
    outer, rest = divmod(before, front)
    if rest or not outer or many % outer:
        raise MixedError("reshapes the batch into the axes of a row")
    return Rows(axis, outer, many // outer)


def permuted(call: Any, operands: Sequence[Any]) -> Layout:
    """The axes change their places."""
    layout, rank = operands[0], rank_of(call)
    if not isinstance(layout, Rows):
        return FIXED
    axes = call.attrs.axes
    order = list(range(rank))[::-1] if axes is None else [int(axis) % rank for axis in axes]
    return layout.on(order.index(layout.axis))


def joined(call: Any, operands: Sequence[Any]) -> Layout:
    """Values one behind the other along an axis."""
    parts = call.args[0].fields if isinstance(call.args[0], relax.Tuple) else []
    layouts = operands[0] if isinstance(operands[0], tuple) else ()
    if not parts:
        return _through_tuple(call, operands)
    found = set(rows_among(layouts))
    for part, layout in zip(parts, layouts, strict=True):
        refuse_along(part, layout, axes_of(call.attrs.axis, rank_of(part)))
    if len(found) > 1 or (found and FIXED in layouts):
        raise MixedError("joins rows with values whose rows lie otherwise")
    return found.pop() if found else FIXED


def _through_tuple(call: Any, operands: Sequence[Any]) -> Layout:
    """Of a tuple that a variable holds, such as the parts of a split."""
    layouts = operands[0]
    types = call.args[0].ty.fields
    found = set(rows_among(layouts))
    if not found:
        return FIXED
    if len(found) > 1 or FIXED in layouts:
        raise MixedError("joins rows with values whose rows lie otherwise")
    layout = found.pop()
    if layout.axis in axes_of(call.attrs.axis, len(types[0].shape.values)):
        raise MixedError("joins values along the batch")
    return layout


def split(call: Any, operands: Sequence[Any]) -> Layouts:
    """Parts of a value along an axis."""
    refuse_along(call.args[0], operands[0], axes_of(call.attrs.axis, rank_of(call.args[0])))
    return tuple(operands[0] for _ in call.ty.fields)


def sliced(call: Any, operands: Sequence[Any]) -> Layout:
    """A slice that leaves the rows as they are."""
    layout = operands[0]
    if not isinstance(layout, Rows):
        return FIXED
    if not all(isinstance(argument, relax.Tuple) for argument in call.args[1:4]):
        raise MixedError("slices by bounds that are not fixed")
    rank = rank_of(call)
    axes = [int(getattr(a, "value", a)) % rank for a in call.args[1].fields]
    if layout.axis not in axes:
        return layout
    at = axes.index(layout.axis)
    begin = getattr(call.args[2].fields[at], "value", None)
    step = call.args[4].fields[at] if len(call.args) > 4 and hasattr(call.args[4], "fields") else 1
    had, has = (row_extents(e.ty) for e in (call.args[0], call))
    whole = (
        had is not None
        and has is not None
        and had[layout.axis] == has[layout.axis] not in (0, None)
    )
    if begin != 0 or int(getattr(step, "value", step)) != 1 or not whole:
        raise MixedError(
            "takes a part of the rows of the request, or turns them round: the score of a row "
            "would depend on where in the request it stands"
        )
    return layout


def taken(call: Any, operands: Sequence[Any]) -> Layout:
    """Elements along an axis by indices, whose axes take its place."""
    (data, indices), rank = operands, rank_of(call.args[0])
    axis = 0 if call.attrs.axis is None and rank == 1 else call.attrs.axis
    if axis is None:
        if isinstance(data, Rows):
            raise MixedError("picks elements of the flattened batch")
        return indices.on(indices.axis) if isinstance(indices, Rows) else FIXED
    axis = int(axis) % rank
    if isinstance(data, Rows):
        if data.axis == axis:
            raise MixedError(
                "picks rows of the request by index: the score of a row would depend on the others"
            )
        if isinstance(indices, Rows):
            raise MixedError("pairs each row with the other rows of the request")
        return data if data.axis < axis else data.on(data.axis - 1 + rank_of(call.args[1]))
    return indices.on(indices.axis + axis) if isinstance(indices, Rows) else FIXED


def tiled(call: Any, operands: Sequence[Any]) -> Layout:
    """A value over and over along its axes; rows that are repeated whole lie in rounds."""
    layout, rank = operands[0], rank_of(call)
    if not isinstance(layout, Rows):
        return FIXED
    axis = layout.axis + rank - rank_of(call.args[0])
    times = [1] * rank + [int(t) for t in call.attrs.repeats]
    return Rows(axis, layout.outer * times[axis - rank], layout.inner)
