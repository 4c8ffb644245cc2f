"""Give every `squeeze` without axes the axes of extent one.

    squeeze(x)   ->   squeeze(x, axis=[axes whose extent is 1])

The batch is not one of them: its extent is symbolic. Shapes downstream become known.
"""

from __future__ import annotations

from typing import Any

from tvm import relax
from tvm.ir import IRModule

from relay_passes.matching import call_name, rewrite_main, shape_of
from relay_passes.report import PassReport

__all__ = ["resolve_squeeze"]


@relax.expr_functor.mutator
class _Rewriter(relax.PyExprMutator):
    def __init__(self, mod: IRModule, report: PassReport) -> None:
        super().__init__(mod)
        self._report = report

    def visit_call_(self, op: Any) -> Any:
        call = super().visit_call_(op)
        if call_name(call) != "relax.squeeze" or call.attrs.axis is not None:
            return call
        extents = shape_of(call.args[0])
        if extents is None:
            self._report.refused.append("squeeze of a tensor of unknown shape")
            return call
        self._report.applied += 1
        axes = [axis for axis, extent in enumerate(extents) if extent == 1]
        squeezed = relax.op.squeeze(call.args[0], axes)
        return relax.Call(squeezed.op, squeezed.args, squeezed.attrs, None, op.span)


def resolve_squeeze(mod: IRModule, report: PassReport) -> IRModule:
    """Rewrite every squeeze of `main`. Idempotent."""
    return rewrite_main(mod, _Rewriter(mod, report))
