"""Take the side of a `where` that a constant condition names.

    where(all true, x, y)   ->   x
    where(all false, x, y)  ->   y

x and y are of the result's shape. The ONNX importer wraps the indices of a Gather, constant ones
too: where(C < 0, C + extent, C) with an extent that it reads from a symbolic shape. Of indices none
of which is negative, C is left, and whoever picks by it sees constants.
"""

from __future__ import annotations

from typing import Any

from tvm import relax
from tvm.ir import IRModule

from relay_passes.matching import call_name, constant_array, rewrite_main, shape_of
from relay_passes.report import PassReport

__all__ = ["resolve_where"]


@relax.expr_functor.mutator
class _Rewriter(relax.PyExprMutator):
    def __init__(self, mod: IRModule, report: PassReport) -> None:
        super().__init__(mod)
        self._report = report

    def visit_call_(self, op: Any) -> Any:
        condition = constant_array(op.args[0]) if call_name(op) == "relax.where" else None
        if condition is None or not condition.size or condition.any() != condition.all():
            return super().visit_call_(op)
        chosen = op.args[1 if condition.all() else 2]
        if str(shape_of(chosen)) != str(shape_of(op)):
            return super().visit_call_(op)
        self._report.applied += 1
        return self.visit_expr(chosen)


def resolve_where(mod: IRModule, report: PassReport) -> IRModule:
    """Rewrite every such `where` of `main`. Idempotent."""
    rewritten = rewrite_main(mod, _Rewriter(mod, report))
    return relax.transform.CanonicalizeBindings()(rewritten) if report.applied else rewritten
