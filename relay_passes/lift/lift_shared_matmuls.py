"""Multiply the rows' matrices by the one that the user has, without a copy of it for each row.

    matmul(a, spread(u))                            ->   rtc.shared_matmul.nn(a, u)
    matmul(a, permute_dims(spread(u), (0, 2, 1)))   ->   rtc.shared_matmul.nt(a, u)

a is [n, m, k], u [1, k, c], nt: [1, c, k]. Attention over the user's sequence ends so: the weights
of all items by one sequence are one product, [n m, k] @ [k, c]. A product of one column stays.
"""

from __future__ import annotations

from typing import Any

from tvm import relax
from tvm.ir import IRModule

from rtcompile.relay_passes.lift.lift_batch_matmuls import product_operands
from rtcompile.relay_passes.matching import (
    bindings,
    dtype_of,
    kernel_symbol,
    rewrite_main,
    shape_of,
)
from rtcompile.relay_passes.report import PassReport
from rtcompile.relay_passes.stage.split_stages import SPREAD

__all__ = ["SHARED_MATMUL", "lift_shared_matmuls"]

SHARED_MATMUL = "rtc.shared_matmul"


@relax.expr_functor.mutator
class _Rewriter(relax.PyExprMutator):
    def __init__(self, mod: IRModule, report: PassReport) -> None:
        super().__init__(mod)
        self._report = report
        self._bound = bindings(mod["main"])

    def visit_call_(self, op: Any) -> Any:
        operands = product_operands(op, self._bound)
        shared = None if operands is None else self._shared(operands[1])
        if operands is None or shared is None:
            return super().visit_call_(op)
        left, _, kind = operands
        reason = _refusal(left, shared, kind)
        if reason:
            self._report.refused.append(f"matmul: {reason}")
            return super().visit_call_(op)
        self._report.applied += 1
        arguments = relax.Tuple([self.visit_expr(left), self.visit_expr(shared)])
        return relax.op.call_dps_packed(f"{SHARED_MATMUL}.{kind}", arguments, out_ty=op.ty)

    def _shared(self, operand: Any) -> Any:
        """u of spread(u), else None."""
        value: Any = self._bound.get(operand)
        return value.args[1].fields[0] if kernel_symbol(value) == SPREAD else None


def _refusal(left: Any, shared: Any, kind: str) -> str:
    a, u = shape_of(left), shape_of(shared)
    if a is None or u is None or len(a) != 3 or len(u) != 3 or u[0] != 1:
        return "the operands are no [n, m, k] by [1, k, c]"
    if any(not isinstance(extent, int) for extent in (*a[1:], *u)):
        return "an extent of the matrices is dynamic"
    if {dtype_of(left), dtype_of(shared)} != {"float32"}:
        return f"{dtype_of(left)} by {dtype_of(shared)}"
    columns = u[2] if kind == "nn" else u[1]
    return "" if columns > 1 else "one column: it would be packing for nothing"


def lift_shared_matmuls(mod: IRModule, report: PassReport) -> IRModule:
    """Rewrite every such product of `main`. Idempotent."""
    return rewrite_main(mod, _Rewriter(mod, report))
