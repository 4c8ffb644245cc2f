"""Lower the checks of values that data decides (`relay_passes/dialect/checked_values.py`)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rtcompile.codegen.kernels.check_values import CheckShape, check_kernel
from rtcompile.codegen.program.program import Lookup, Pointer, Space
from rtcompile.codegen.program.row_shape import rows_factor
from rtcompile.relay_passes.dialect.checked_values import (
    CHECK_DIVISOR,
    CHECK_INDEX,
    CHECK_NUMBER,
    index_extents,
    index_wraps,
    is_lengths,
    table_label,
)
from rtcompile.relay_passes.matching import dtype_of, kernel_symbol, shape_of

if TYPE_CHECKING:
    from rtcompile.codegen.lowering.network import NetworkLowering

__all__ = ["CHECK_LOWERINGS"]


def _index(lowering: NetworkLowering, var: Any, value: Any) -> None:
    symbol, (ids,) = kernel_symbol(value), value.args[1].fields
    extents = index_extents(symbol)
    kind = "index" if index_wraps(symbol) else "plain"
    shape = CheckShape(kind, dtype_of(ids), "int64", len(extents))
    _emit(lowering, var, ids, shape, table_label(symbol), extents)


def _number(lowering: NetworkLowering, var: Any, value: Any) -> None:
    symbol, (numbers,) = kernel_symbol(value), value.args[1].fields
    kind = "fit" if dtype_of(numbers).startswith(("int", "uint")) else "number"
    shape = CheckShape(kind, dtype_of(numbers), dtype_of(var))
    _emit(lowering, var, numbers, shape, table_label(symbol), [0])


def _divisor(lowering: NetworkLowering, var: Any, value: Any) -> None:
    symbol, (divisors,) = kernel_symbol(value), value.args[1].fields
    kind = "unit" if symbol.endswith(".unit") else "divisor"
    _emit(lowering, var, divisors, CheckShape(kind, dtype_of(divisors), dtype_of(var)), "", [0])


def _emit(
    lowering: NetworkLowering,
    var: Any,
    given: Any,
    shape: CheckShape,
    label: str,
    extents: list[int],
) -> None:
    lowering.kernel(shape.name, lambda: check_kernel(shape))
    pointers = lowering.at(given), lowering.place((var, 0), var.ty), Pointer(Space.STATUS)
    counts = shape_of(given) or ()
    fixed = all(isinstance(extent, int) for extent in counts)
    factor = math.prod(counts) if fixed else rows_factor(counts)
    if not factor:
        return  # there is nothing to check
    number = len(lowering.program.lookups)
    sized = shape.kind in ("index", "plain") and not is_lengths(label)
    places = tuple(extents) if sized else ()
    lookup = Lookup(lowering.chosen_from(label), places, lowering.origins(given))
    lowering.program.lookups.append(replace(lookup, unsigned=shape.dtype == "uint64"))
    scalars = (factor, number, factor if fixed else 0, *extents)
    lowering.call(shape.name, pointers, 1 if fixed else factor, scalars, with_start=True)


# Prefix of a call's name -> how it is lowered.
CHECK_LOWERINGS: dict[str, Callable[[NetworkLowering, Any, Any], None]] = {
    CHECK_INDEX: _index,
    CHECK_NUMBER: _number,
    CHECK_DIVISOR: _divisor,
}
