"""What is computed of the extents of tensors, some of which follow the batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm import relax

from rtcompile.relay_passes.matching import constant_array, integers
from rtcompile.relay_passes.rows.layouts import (
    FIXED,
    Counted,
    Layout,
    MixedError,
    Rows,
    per_row,
    row_extents,
)

__all__ = ["extents_tensor", "of_counts"]


def of_counts(call: Any, name: str, operands: Sequence[Layout]) -> Layout:
    """What is computed of extents alone, of which some are numbers."""
    wide = any(extent != 0 for extent in row_extents(call.ty) or ())
    if wide or any(isinstance(layout, Rows) for layout in operands):
        raise MixedError("computes with the number of rows of the request")
    entries = [layout.entries for layout in operands if isinstance(layout, Counted)]
    picked = _picked(call, name, entries[0]) if len(entries) == 1 else None
    if picked is None:
        picked = [any(map(any, entries))]
    return Counted(tuple(picked)) if any(picked) else FIXED


def _picked(call: Any, name: str, entries: Sequence[bool]) -> Sequence[bool] | None:
    """The entries that an operator leaves of a list of extents; None where it computes."""
    if name in ("relax.astype", "relax.squeeze", "relax.expand_dims", "relax.reshape"):
        return entries
    if name == "relax.take":
        indices = constant_array(call.args[1])
        return None if indices is None else [entries[int(i)] for i in indices.reshape(-1)]
    if name == "relax.strided_slice":
        bounds = [integers(argument) for argument in call.args[2:]]
        if all(bound is not None and len(bound) == 1 for bound in bounds):
            return entries[slice(*(bound[0] for bound in bounds if bound))]
    return None


def extents_tensor(call: Any, operands: Sequence[Any]) -> Layout:
    """The extents of a tensor as a value."""
    shape = call.args[0]
    values = shape.values if isinstance(shape, relax.ShapeExpr) else (shape.ty.values or ())
    entries = tuple(per_row(value) != 0 for value in values)
    return Counted(entries) if any(entries) else FIXED
