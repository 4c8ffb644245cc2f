"""Recognise embedding look-ups: a `take` of rows of a constant matrix by integer ids.

    take(W, where(ids < 0, ids + rows, ids), axis=0)
        ->   call_dps_packed("rtc.embedding_lookup", (W, ids))
    the same by ids = astype(where(isfinite(c), c, 0)), c = strided_slice(X, column)
        ->   call_dps_packed("rtc.embedding_lookup.COLUMN", (W, X))

W is a constant [rows, d], ids an integer tensor of any shape, X a float matrix [n, m]. Behind the
names stand kernels that check every id, wrap negative ones and read a column in place; what the
importer put around the ids for these ends is taken off. The table leaves the graph's constants for
a place of its own, so that it can be memory-mapped and updated.
"""

from __future__ import annotations

from typing import Any

from tvm import relax
from tvm.ir import IRModule

from relay_passes.matching import (
    bindings,
    call_name,
    constant_array,
    dtype_of,
    integers,
    rewrite_main,
    shape_of,
    static_int,
)
from relay_passes.report import PassReport

__all__ = ["EMBEDDING_LOOKUP", "lift_embeddings"]

EMBEDDING_LOOKUP = "rtc.embedding_lookup"


class _Ids:
    """Takes off what the importer puts around ids."""

    def __init__(self, function: Any) -> None:
        self._bound = bindings(function)

    def _call(self, expression: Any, name: str) -> Any:
        value = self._bound.get(expression)
        return value if call_name(value) == f"relax.{name}" else None

    def unwrapped(self, ids: Any, rows: int) -> Any:
        """x of where(less(x, 0), add(x, rows), x); `ids` itself where it has another form."""
        where = self._call(ids, "where")
        if where is None:
            return ids
        condition, wrapped, plain = where.args
        less, add = self._call(condition, "less"), self._call(wrapped, "add")
        if less is None or add is None:
            return ids
        if not less.args[0].same_as(plain) or not add.args[0].same_as(plain):
            return ids
        return plain if _is(less.args[1], 0) and self._is_count(add.args[1], rows) else ids

    def _is_count(self, expression: Any, rows: int) -> bool:
        """Whether it is `rows`, or the first extent of a constant of so many, as imported."""
        if constant_array(expression) is not None:
            return _is(expression, rows)
        cast = self._call(expression, "astype")
        take = self._call(cast.args[0] if cast is not None else expression, "take")
        if take is None or not _is(take.args[1], 0):
            return False
        extents = self._call(take.args[0], "shape_to_tensor")
        if extents is None:
            return False
        shape: Any = self._bound.get(extents.args[0], extents.args[0])
        if call_name(shape) == "relax.shape_of":
            return (shape_of(shape.args[0]) or (None,))[0] == rows
        return isinstance(shape, relax.ShapeExpr) and static_int(shape.values[0]) == rows

    def column(self, ids: Any) -> tuple[Any, int] | None:
        """(X, column) of ids that are a cast column of a float matrix, else None."""
        cast = self._call(ids, "astype")
        if cast is None:
            return None
        source = cast.args[0]
        where = self._call(source, "where")
        if where is not None and self._zeroes_not_finite(where):
            source = next((a for a in where.args[1:] if isinstance(a, relax.Var)), source)
        part = self._call(source, "strided_slice")
        if part is None or dtype_of(part.args[0]) != "float32":
            return None
        extents, width = shape_of(part.args[0]), shape_of(source)
        starts = [integers(argument) for argument in part.args[1:3]]
        if extents is None or len(extents) != 2 or width is None or width[1:] != (1,):
            return None
        if starts[0] not in ([1], [-1]) or starts[1] is None or not isinstance(extents[1], int):
            return None
        return part.args[0], starts[1][0] % extents[1]

    def _zeroes_not_finite(self, where: Any) -> bool:
        condition, yes, no = where.args
        negated = self._call(condition, "logical_not")
        zero, kept = (yes, no) if negated is not None else (no, yes)
        finite = self._call(negated.args[0] if negated is not None else condition, "isfinite")
        return _is(zero, 0) and finite is not None and bool(finite.args[0].same_as(kept))


def _is(expression: Any, value: int) -> bool:
    """Whether `expression` is a constant of this one value."""
    array = constant_array(expression)
    return array is not None and array.size == 1 and bool((array == value).all())


@relax.expr_functor.mutator
class _Rewriter(relax.PyExprMutator):
    def __init__(self, mod: IRModule, report: PassReport) -> None:
        super().__init__(mod)
        self._report = report
        self._ids = _Ids(mod["main"])

    def visit_call_(self, op: Any) -> Any:
        if call_name(op) != "relax.take":
            return super().visit_call_(op)
        table, ids = op.args
        matrix = constant_array(table)
        if matrix is None or matrix.ndim != 2 or int(op.attrs.axis) != 0:
            return super().visit_call_(op)
        if str(matrix.dtype) != "float32" or dtype_of(ids) not in ("int32", "int64"):
            self._report.refused.append(f"take from {matrix.dtype} by {dtype_of(ids)}")
            return super().visit_call_(op)
        if constant_array(ids) is not None:
            return super().visit_call_(op)  # a constant: folded later
        self._report.applied += 1
        name, source = EMBEDDING_LOOKUP, self._ids.unwrapped(ids, matrix.shape[0])
        column = self._ids.column(source)
        if column is not None:
            source, name = column[0], f"{EMBEDDING_LOOKUP}.{column[1]}"
        arguments = relax.Tuple([table, self.visit_expr(source)])
        return relax.op.call_dps_packed(name, arguments, out_ty=op.ty)


def lift_embeddings(mod: IRModule, report: PassReport) -> IRModule:
    """Rewrite every look-up of `main`. Idempotent."""
    return rewrite_main(mod, _Rewriter(mod, report))
