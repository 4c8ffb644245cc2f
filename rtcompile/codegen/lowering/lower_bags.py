"""Lower bags of a table's rows (`relay_passes/dialect/embedding_bags.py`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rtcompile.codegen.kernels.embedding_bag import BagShape, bag_kernel
from rtcompile.codegen.program.program import Lookup, Pointer, Space
from rtcompile.relay_passes.dialect.checked_values import array_digest
from rtcompile.relay_passes.dialect.embedding_bags import EMBEDDING_BAG, BagForm
from rtcompile.relay_passes.matching import constant_array, dtype_of, kernel_symbol

if TYPE_CHECKING:
    from rtcompile.codegen.lowering.network import NetworkLowering

__all__ = ["BAG_LOWERINGS"]


def _bag(lowering: NetworkLowering, var: Any, value: Any) -> None:
    table, ids, *others = value.args[1].fields
    matrix, form = constant_array(table), BagForm.of(kernel_symbol(value))
    assert matrix is not None  # the importer takes a constant only
    name = lowering.table_names.get(array_digest(matrix))
    stored = lowering.constants.add_table(name, matrix)
    shape = BagShape(form, stored.format, dtype_of(ids))
    lowering.kernel(shape.name, lambda: bag_kernel(shape))
    pointers = (
        stored.at,
        *map(lowering.at, (ids, *others)),
        lowering.place((var, 0), var.ty),
        Pointer(Space.STATUS),
    )
    lookups = lowering.program.lookups
    scalars = (stored.rows, len(lookups), form.padding or 0)
    lookups.append(Lookup(f"table {stored.name!r}", (stored.rows,), lowering.origins(ids)))
    lowering.call(shape.name, pointers, 1, scalars, with_start=True)


# Prefix of a call's name -> how it is lowered.
BAG_LOWERINGS: dict[str, Callable[[NetworkLowering, Any, Any], None]] = {EMBEDDING_BAG: _bag}
