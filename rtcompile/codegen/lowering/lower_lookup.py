"""Lower checked look-ups in lifted tables.

rtc.embedding_lookup(table, ids)            of ids as they are
rtc.embedding_lookup.COLUMN(table, X)       of a column of floats
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rtcompile.codegen.kernels.embedding_lookup import (
    LOOKUP_KERNEL,
    NEAR_BYTES,
    LookupShape,
    default_ahead,
    lookup_kernel,
)
from rtcompile.codegen.program.program import Lookup, Pointer, Space
from rtcompile.codegen.program.row_shape import rows_factor
from rtcompile.relay_passes.dialect.checked_values import array_digest
from rtcompile.relay_passes.lift.lift_embeddings import EMBEDDING_LOOKUP
from rtcompile.relay_passes.matching import constant_array, kernel_symbol, shape_of

if TYPE_CHECKING:
    from rtcompile.codegen.lowering.network import NetworkLowering

__all__ = ["LOOKUPS"]


def _lookup(lowering: NetworkLowering, var: Any, value: Any) -> None:
    table, ids = value.args[1].fields
    matrix, extents = constant_array(table), shape_of(ids) or ()
    assert matrix is not None  # lift_embeddings matched a constant
    column = kernel_symbol(value)[len(EMBEDDING_LOOKUP) + 1 :]
    width = int(extents[1]) if column else 1
    name = lowering.table_names.get(array_digest(matrix))
    stored = lowering.constants.add_table(name, matrix)
    shape = LookupShape(stored.format, str(ids.ty.dtype), width)
    factor = rows_factor(extents) // width
    far = {"far": int(stored.rows * shape.table.row_bytes > NEAR_BYTES)}
    task = lowering.task(LOOKUP_KERNEL, {**shape.parameters, **far}, factor)
    default = default_ahead(shape)
    ahead = lowering.choices.config(task, {"ahead": default})["ahead"]
    kernel = shape.name if ahead == default else f"{shape.name}_a{ahead}"
    lowering.kernel(kernel, lambda: lookup_kernel(shape, ahead))
    pointers = (
        stored.at,
        lowering.at(ids),
        lowering.place((var, 0), var.ty),
        Pointer(Space.STATUS),
    )
    number = len(lowering.program.lookups)
    lowering.program.lookups.append(
        Lookup(f"table {stored.name!r}", (stored.rows,), lowering.origins(ids))
    )
    scalars = (stored.rows, number, int(column or 0), factor)
    lowering.call(kernel, pointers, factor, scalars, with_start=True)


# Prefix of a call's name -> how it is lowered.
LOOKUPS: dict[str, Callable[[NetworkLowering, Any, Any], None]] = {EMBEDDING_LOOKUP: _lookup}
