"""Join parts behind the batch axis in one call, with what only moves or multiplies their values.

    concat((a, b), axis)                      ->   call_dps_packed("rtc.blocks.ROWS", (a, b, table))
    concat((slice(a), multiply(b, c)), axis)  ->   the same of (a, b, c)
    take(a, constant indices, axis)           ->   the same of (a,)

ROWS is the product of the extents between the batch and `axis`. The table is int64 [blocks, 5]:
left source, its first value, right source or -1, its first value, width; the blocks of a row stand
one behind the other (`row_blocks.py`). A concatenation of hundreds of pairs' products becomes a
table instead of as many operators, and slices and splits are read in place.

Legalised, a concatenation of many parts would be one deep nest of conditions evaluated for each
value, and a pick by constant indices checks them again for each row. A concatenation along the
batch, or of a constant, stays.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from tvm import relax
from tvm.ir import IRModule

from rtcompile.relay_passes.analysis.row_blocks import Block, RowBlocks
from rtcompile.relay_passes.matching import (
    bindings,
    call_name,
    constant_array,
    rewrite_main,
    shape_of,
    use_counts,
)
from rtcompile.relay_passes.report import PassReport

__all__ = ["BLOCKS", "gather_blocks"]

BLOCKS = "rtc.blocks"


@relax.expr_functor.mutator
class _Rewriter(relax.PyExprMutator):
    def __init__(self, mod: IRModule, report: PassReport) -> None:
        super().__init__(mod)
        self._report = report
        self._bound = bindings(mod["main"])
        self._uses = use_counts(mod["main"])
        self._readers: dict[int, RowBlocks] = {}

    def visit_call_(self, op: Any) -> Any:
        axis = self._axis(op)
        if axis is None:
            return super().visit_call_(op)
        rows = math.prod((shape_of(op) or ())[1:axis])
        if rows not in self._readers:
            self._readers[rows] = RowBlocks(self._bound, self._uses, rows)
        blocks = self._readers[rows].of_value(op)
        if blocks is None:
            self._report.refused.append(f"{call_name(op)} of too many parts")
            return super().visit_call_(op)
        self._report.applied += 1
        sources, table = _table(blocks)
        fields = [*map(self.visit_expr, sources), relax.const(table, "int64")]
        return relax.op.call_dps_packed(f"{BLOCKS}.{rows}", relax.Tuple(fields), out_ty=op.ty)

    def _axis(self, op: Any) -> int | None:
        """The axis along which `op` joins or picks what can be moved as blocks, else None."""
        name = call_name(op)
        if name == "relax.take":
            picks = constant_array(op.args[1]) is not None and isinstance(op.args[0], relax.Var)
            shape = shape_of(op.args[0])
            axis = op.attrs.axis
            if not picks or shape is None or axis is None or not int(axis) % len(shape):
                return None
            return int(axis) % len(shape)
        shape = shape_of(op) if name == "relax.concat" else None
        parts = self._bound.get(op.args[0], op.args[0]) if shape else None
        if shape is None or not isinstance(parts, relax.Tuple):
            return None
        axis = int(op.attrs.axis) % len(shape)
        if any(not isinstance(extent, int) for extent in shape[max(axis, 1) :]) or axis == 0:
            self._report.refused.append(f"concat on axis {axis}: the batch is on a later axis")
            return None
        if not all(isinstance(part, relax.Var) for part in parts.fields):
            self._report.refused.append(f"concat on axis {axis}: a part is a constant")
            return None
        if isinstance(shape[0], int):
            self._report.refused.append(f"concat on axis {axis}: it has no batch")
            return None
        return axis


def _table(blocks: Sequence[Block]) -> tuple[list[Any], np.ndarray[Any, np.dtype[np.int64]]]:
    """The sources that the blocks read, each once, and the table."""
    sources: list[Any] = []
    places: dict[Any, int] = {}
    rows = []
    for block in blocks:
        row = []
        for operand in (block.left, block.right):
            if operand is None:
                row += [-1, 0]
                continue
            if operand.source not in places:
                places[operand.source] = len(sources)
                sources.append(operand.source)
            row += [places[operand.source], operand.start]
        rows.append([*row, block.width])
    return sources, np.array(rows, np.int64)


def gather_blocks(mod: IRModule, report: PassReport) -> IRModule:
    """Rewrite every such concat and take of `main`. Idempotent."""
    return rewrite_main(mod, _Rewriter(mod, report))
