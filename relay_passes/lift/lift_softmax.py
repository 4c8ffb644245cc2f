"""Take softmax along the last axis out of the graph's generic operators.

    softmax(x, axis=-1)   ->   call_dps_packed("rtc.softmax.WIDTH", (x,))

Axes of one behind the axis do not matter: in memory it is the last one. WIDTH is its extent.
"""

from __future__ import annotations

from typing import Any

from tvm import relax
from tvm.ir import IRModule

from rtcompile.relay_passes.matching import call_name, dtype_of, rewrite_main, shape_of
from rtcompile.relay_passes.report import PassReport

__all__ = ["SOFTMAX", "lift_softmax"]

SOFTMAX = "rtc.softmax"


@relax.expr_functor.mutator
class _Rewriter(relax.PyExprMutator):
    def __init__(self, mod: IRModule, report: PassReport) -> None:
        super().__init__(mod)
        self._report = report

    def visit_call_(self, op: Any) -> Any:
        call = super().visit_call_(op)
        if call_name(op) != "relax.nn.softmax":
            return call
        extents = shape_of(op.args[0])
        if extents is None or dtype_of(op.args[0]) != "float32":
            self._report.refused.append(f"softmax of {dtype_of(op.args[0])}")
            return call
        axis = int(op.attrs.axis) % len(extents)
        if not isinstance(extents[axis], int) or any(e != 1 for e in extents[axis + 1 :]):
            self._report.refused.append(f"softmax along axis {axis}: others lie behind it")
            return call
        self._report.applied += 1
        name = f"{SOFTMAX}.{extents[axis]}"
        return relax.op.call_dps_packed(name, relax.Tuple([call.args[0]]), out_ty=op.ty)


def lift_softmax(mod: IRModule, report: PassReport) -> IRModule:
    """Rewrite every such softmax of `main`. Idempotent."""
    return rewrite_main(mod, _Rewriter(mod, report))
