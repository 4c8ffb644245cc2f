"""How a value depends on the rows of the batch.

    FIXED                     on no row: a constant, or an input that a request has once
    Rows(axis, outer, inner)  element i of `axis` belongs to row (i // inner) % n
    Counted(entries)          on how many rows there are: such as the extents of a tensor

The axis has outer * n * inner elements: a tensor [n, 20, 8] that was reshaped to [n * 20, 8] is
Rows(0, 1, 20), its transpose to [8, 20, n] is Rows(2, 1, 1). What mixes rows has no layout:
`MixedError` says why.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tvm import relax, tirx

from rtcompile.relay_passes.matching import static_int

__all__ = [
    "FIXED",
    "Counted",
    "Fixed",
    "Layout",
    "MixedError",
    "Rows",
    "checked",
    "per_row",
    "row_extents",
]

# Counts of rows at which an extent is looked at.
_LOOKED_AT = (2, 3, 113, 2**31 - 1)


class MixedError(Exception):
    """Why rows of a result depend on each other."""


@dataclass(frozen=True)
class Rows:
    """Each row has its own elements, outer * inner of an axis."""

    axis: int
    outer: int = 1
    inner: int = 1

    def on(self, axis: int) -> Rows:
        """The same on another axis."""
        return Rows(axis, self.outer, self.inner)


@dataclass(frozen=True)
class Counted:
    """Numbers that are computed of extents; `entries`: which of them follow the batch."""

    entries: tuple[bool, ...]


@dataclass(frozen=True)
class Fixed:
    """A value that no row has a share in."""


FIXED = Fixed()

Layout = Rows | Counted | Fixed


def per_row(extent: Any) -> int | None:
    """c of an extent c * n of n rows, 0 of a number, None of any other."""
    if static_int(extent) is not None:
        return 0
    if isinstance(extent, tirx.Var):
        return 1
    found = {_factor(extent, rows) for rows in _LOOKED_AT}
    return found.pop() if len(found) == 1 else None


def _factor(extent: Any, rows: int) -> int | None:
    value = _at(extent, rows)
    return None if value is None or value % rows else value // rows


def _at(extent: Any, rows: int) -> int | None:
    """An extent at so many rows."""
    if static_int(extent) is not None:
        return static_int(extent)
    if isinstance(extent, tirx.Var):
        return rows
    operation = _ARITHMETIC.get(type(extent))
    if operation is None:
        return None
    a, b = _at(extent.a, rows), _at(extent.b, rows)
    return None if a is None or b is None else operation(a, b)


_ARITHMETIC: dict[Any, Callable[[int, int], int]] = {
    tirx.Add: operator.add,
    tirx.Sub: operator.sub,
    tirx.Mul: operator.mul,
    tirx.FloorDiv: operator.floordiv,
    tirx.Div: operator.floordiv,
    tirx.FloorMod: operator.mod,
    tirx.Max: max,
    tirx.Min: min,
}


def row_extents(ty: Any) -> list[int | None] | None:
    """`per_row` of each axis of a tensor's type; None where its shape is not known."""
    if not isinstance(ty, relax.TensorType) or not hasattr(ty.shape, "values"):
        return None
    return [per_row(extent) for extent in ty.shape.values]


def checked(layout: Layout, ty: Any) -> Layout:
    """The layout of a result of type `ty`, which must have the batch where the layout has rows.

    A result of fixed values that is as wide as the batch has the same for each row. Raises
    MixedError.
    """
    if isinstance(layout, Counted) or not isinstance(ty, relax.TensorType):
        return layout
    extents = row_extents(ty)
    if extents is None:
        if layout is FIXED:
            return FIXED
        raise MixedError("gives a tensor whose shape is not known when the model is built")
    at = [axis for axis, extent in enumerate(extents) if extent != 0]
    if len(at) > 1:
        raise MixedError(
            f"gives a tensor of shape {_shape(ty)}, with the batch on two axes: each row is paired "
            "with the other rows of the request"
        )
    if at and layout is FIXED and extents[at[0]] is not None:
        return Rows(at[0], 1, extents[at[0]] or 1)
    wanted = [(layout.axis, layout.outer * layout.inner)] if isinstance(layout, Rows) else []
    if [(axis, extents[axis]) for axis in at] != wanted:
        raise MixedError(
            f"gives a tensor of shape {_shape(ty)}, which has not the rows of the request, each "
            "with values of its own"
        )
    return layout


def _shape(ty: Any) -> str:
    return "(" + ", ".join(str(static_int(e) or e) for e in ty.shape.values) + ")"
