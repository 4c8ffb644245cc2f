"""Recognise embedding look-ups: a `take` of rows of a constant matrix by integer ids.

    take(W, where(ids < 0, ids + rows, ids), axis=0)
        ->   call_dps_packed("rtc.embedding_lookup", (W, ids))
    the same by ids = astype(where(isfinite(c), c, 0)), c = strided_slice(X, column)
        ->   call_dps_packed("rtc.embedding_lookup.COLUMN", (W, X))

    the same by ids = astype(x, int32), x of int64
        ->   call_dps_packed("rtc.embedding_lookup", (W, x))

W is a constant [rows, d], ids an integer tensor of any shape, X a float matrix [n, m]. Behind the
names stand kernels that check every id, wrap negative ones and read a column in place; what the
importer put around the ids for these ends is taken off. The table leaves the graph's constants for
a place of its own, so that it can be memory-mapped and updated.
"""

from __future__ import annotations

from typing import Any

from tvm import relax
from tvm.ir import IRModule

from rtcompile.relay_passes.analysis.index_source import IndexSource
from rtcompile.relay_passes.matching import (
    bindings,
    call_name,
    constant_array,
    dtype_of,
    integers,
    rewrite_main,
    shape_of,
)
from rtcompile.relay_passes.report import PassReport

__all__ = ["EMBEDDING_LOOKUP", "lift_embeddings"]

EMBEDDING_LOOKUP = "rtc.embedding_lookup"

_ID_DTYPES = ("int32", "int64")


class _Columns(IndexSource):
    """Of ids that are a column of a float matrix."""

    def of(self, ids: Any) -> tuple[Any, int] | None:
        """(X, column) of ids that are a cast column of a float matrix, else None."""
        cast = self.call(ids, "astype")
        if cast is None:
            return None
        source = self.of_number(cast.args[0])
        part = self.call(source, "strided_slice")
        if part is None or dtype_of(part.args[0]) != "float32":
            return None
        extents, width = shape_of(part.args[0]), shape_of(source)
        starts = [integers(argument) for argument in part.args[1:3]]
        if extents is None or len(extents) != 2 or width is None or width[1:] != (1,):
            return None
        if starts[0] not in ([1], [-1]) or starts[1] is None or not isinstance(extents[1], int):
            return None
        return part.args[0], starts[1][0] % extents[1]


@relax.expr_functor.mutator
class _Rewriter(relax.PyExprMutator):
    def __init__(self, mod: IRModule, report: PassReport) -> None:
        super().__init__(mod)
        self._report = report
        self._ids = _Columns(bindings(mod["main"]))

    def visit_call_(self, op: Any) -> Any:
        if call_name(op) != "relax.take":
            return super().visit_call_(op)
        table, ids = op.args
        matrix = constant_array(table)
        if matrix is None or matrix.ndim != 2 or int(op.attrs.axis) != 0:
            return super().visit_call_(op)
        if str(matrix.dtype) != "float32" or dtype_of(ids) not in _ID_DTYPES:
            self._report.refused.append(f"take from {matrix.dtype} by {dtype_of(ids)}")
            return super().visit_call_(op)
        if constant_array(ids) is not None:
            return super().visit_call_(op)  # a constant: folded later
        if all(isinstance(extent, int) for extent in shape_of(ids) or ()):
            self._report.refused.append("take by ids that all rows share")
            return super().visit_call_(op)
        self._report.applied += 1
        source, _ = self._ids.unwrapped(ids, matrix.shape[:1])
        name, column = EMBEDDING_LOOKUP, self._ids.of(source)
        if column is not None:
            source, name = column[0], f"{EMBEDDING_LOOKUP}.{column[1]}"
        source = self._ids.uncut(source, _ID_DTYPES)
        arguments = relax.Tuple([table, self.visit_expr(source)])
        return relax.op.call_dps_packed(name, arguments, out_ty=op.ty)


def lift_embeddings(mod: IRModule, report: PassReport) -> IRModule:
    """Rewrite every look-up of `main`. Idempotent."""
    return rewrite_main(mod, _Rewriter(mod, report))
