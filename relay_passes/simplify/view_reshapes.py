"""Turn operators that only rename axes into `reshape`, which costs nothing at run time.

    squeeze(x), expand_dims(x), flatten(x)   ->   reshape(x, shape of the result)

Lowering gives a reshape the memory of its operand.
"""

from __future__ import annotations

from typing import Any

from tvm import relax
from tvm.ir import IRModule

from rtcompile.relay_passes.matching import call_name, rewrite_main, shape_of
from rtcompile.relay_passes.report import PassReport

__all__ = ["view_reshapes"]

_VIEWS = ("relax.squeeze", "relax.expand_dims", "relax.flatten")


@relax.expr_functor.mutator
class _Rewriter(relax.PyExprMutator):
    def __init__(self, mod: IRModule, report: PassReport) -> None:
        super().__init__(mod)
        self._report = report

    def visit_call_(self, op: Any) -> Any:
        call = super().visit_call_(op)
        if call_name(call) not in _VIEWS or shape_of(op) is None:
            return call
        self._report.applied += 1
        return relax.op.reshape(call.args[0], op.ty.shape)


def view_reshapes(mod: IRModule, report: PassReport) -> IRModule:
    """Rewrite the views of `main`. Idempotent."""
    return rewrite_main(mod, _Rewriter(mod, report))
