"""Take concatenations behind the batch axis out of the graph's generic operators.

    concat(parts, axis)   ->   call_dps_packed("rtc.concat.AXIS", parts)

Legalised, a concatenation of many parts is one deep nest of conditions evaluated for each value;
the kernel behind the name copies each part in one go. A concatenation before the batch axis stays.
"""

from __future__ import annotations

from typing import Any

from tvm import relax
from tvm.ir import IRModule

from relay_passes.matching import bindings, call_name, rewrite_main, shape_of
from relay_passes.report import PassReport

__all__ = ["CONCAT", "lift_concats"]

CONCAT = "rtc.concat"


@relax.expr_functor.mutator
class _Rewriter(relax.PyExprMutator):
    def __init__(self, mod: IRModule, report: PassReport) -> None:
        super().__init__(mod)
        self._report = report
        self._bound = bindings(mod["main"])

    def visit_call_(self, op: Any) -> Any:
        call = super().visit_call_(op)
        extents = shape_of(op)
        parts = self._bound.get(op.args[0], op.args[0]) if call_name(op) == "relax.concat" else None
        if parts is None or extents is None or not isinstance(parts, relax.Tuple):
            return call
        axis = int(op.attrs.axis) % len(extents)
        if any(not isinstance(extent, int) for extent in extents[axis:]):
            self._report.refused.append(f"concat on axis {axis}: the batch is on a later axis")
            return call
        if not all(isinstance(part, relax.Var) for part in parts.fields):
            self._report.refused.append(f"concat on axis {axis}: a part is a constant")
            return call
        self._report.applied += 1
        fields = [self.visit_expr(part) for part in parts.fields]
        return relax.op.call_dps_packed(f"{CONCAT}.{axis}", relax.Tuple(fields), out_ty=op.ty)


def lift_concats(mod: IRModule, report: PassReport) -> IRModule:
    """Rewrite every such concat of `main`. Idempotent."""
    return rewrite_main(mod, _Rewriter(mod, report))
