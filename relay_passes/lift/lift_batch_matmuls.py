"""Take products of two tensors, a matrix pair a row, out of the graph's generic operators.

    matmul(a, b)                                ->   call_dps_packed("rtc.batch_matmul.nn", (a, b))
    matmul(a, permute_dims(b, (..., -1, -2)))   ->   call_dps_packed("rtc.batch_matmul.nt", (a, b))

a is [..., m, k], b is [..., k, n], nt: [..., n, k], of equal leading extents and static m, k, n. A
product of fewer than 3 rows or of one column stays generic: it would be packing for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tvm import relax
from tvm.ir import IRModule

from rtcompile.relay_passes.matching import bindings, call_name, dtype_of, rewrite_main, shape_of
from rtcompile.relay_passes.report import PassReport

__all__ = ["BATCH_MATMUL", "lift_batch_matmuls", "product_operands"]

BATCH_MATMUL = "rtc.batch_matmul"

_FEWEST_ROWS, _FEWEST_COLUMNS = 3, 2


@relax.expr_functor.mutator
class _Rewriter(relax.PyExprMutator):
    def __init__(self, mod: IRModule, report: PassReport) -> None:
        super().__init__(mod)
        self._report = report
        self._bound = bindings(mod["main"])

    def visit_call_(self, op: Any) -> Any:
        operands = product_operands(op, self._bound)
        if operands is None:
            return super().visit_call_(op)
        left, right, kind = operands
        reason = _refusal(left, right, kind)
        if reason:
            self._report.refused.append(f"{call_name(op)}: {reason}")
            return super().visit_call_(op)
        self._report.applied += 1
        arguments = relax.Tuple([self.visit_expr(left), self.visit_expr(right)])
        return relax.op.call_dps_packed(f"{BATCH_MATMUL}.{kind}", arguments, out_ty=op.ty)


def product_operands(op: Any, bound: Mapping[Any, Any]) -> tuple[Any, Any, str] | None:
    """(a, b, "nn" or "nt") of a product of two variables, else None. `bound`: what they are."""
    if call_name(op) != "relax.matmul" or not all(isinstance(arg, relax.Var) for arg in op.args):
        return None
    left, right = op.args
    source = _transposed(right, bound)
    return (left, right, "nn") if source is None else (left, source, "nt")


def _transposed(operand: Any, bound: Mapping[Any, Any]) -> Any:
    """x of an operand permute_dims(x) that swaps the last two axes; else None."""
    value: Any = bound.get(operand)
    shape = shape_of(operand)
    if call_name(value) != "relax.permute_dims" or shape is None or value.attrs.axes is None:
        return None
    rank = len(shape)
    axes = [int(axis) % rank for axis in value.attrs.axes]
    return value.args[0] if axes == [*range(rank - 2), rank - 1, rank - 2] else None


def _refusal(left: Any, right: Any, kind: str) -> str:
    a, b = shape_of(left), shape_of(right)
    if a is None or b is None or len(a) != len(b) or len(a) < 3:
        return "the operands have no equal leading axes"
    if [str(e) for e in a[:-2]] != [str(e) for e in b[:-2]]:
        return "the operands have no equal leading axes"
    if any(not isinstance(e, int) for e in (*a[-2:], *b[-2:])):
        return "an extent of the matrices is dynamic"
    if {dtype_of(left), dtype_of(right)} != {"float32"}:
        return f"{dtype_of(left)} by {dtype_of(right)}"
    rows, columns = a[-2], b[-1] if kind == "nn" else b[-2]
    if rows < _FEWEST_ROWS or columns < _FEWEST_COLUMNS:
        return f"{rows} rows by {columns} columns: too small to pack"
    return ""


def lift_batch_matmuls(mod: IRModule, report: PassReport) -> IRModule:
    """Rewrite every such product of `main`. Idempotent."""
    return rewrite_main(mod, _Rewriter(mod, report))
