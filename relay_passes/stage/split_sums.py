"""Sum each side of a concatenation when it is known.

    sum(concat((user, item, cross), 1), axis=1)
        ->   sum(user, 1) + sum(item, 1) + sum(cross, 1)

The first-order and pairwise terms of a factorization machine, sums of fields and sums of their
squares, are of this form. The addition is reordered: exact up to rounding. Applied where at least
one part is known before the row.
"""

from __future__ import annotations

from typing import Any

from tvm import relax
from tvm.ir import IRModule

from rtcompile.relay_passes.analysis.binding_times import BindingTime, binding_times, join
from rtcompile.relay_passes.analysis.pieces import Piece, pieces
from rtcompile.relay_passes.matching import bindings, call_name, rewrite_main, shape_of
from rtcompile.relay_passes.report import PassReport

__all__ = ["split_sums"]

_ORDER = (BindingTime.CROSS, BindingTime.ITEM, BindingTime.USER, BindingTime.BUILD)


@relax.expr_functor.mutator
class _Rewriter(relax.PyExprMutator):
    def __init__(self, mod: IRModule, report: PassReport) -> None:
        super().__init__(mod)
        self._report = report
        self._bound = bindings(mod["main"])
        self._times = binding_times(mod["main"])

    def visit_call_(self, op: Any) -> Any:
        call = super().visit_call_(op)
        if call_name(op) != "relax.sum" or op.attrs.axis is None or len(op.attrs.axis) != 1:
            return call
        source, shape = op.args[0], shape_of(op.args[0])
        if shape is None or self._times.get(source) is not BindingTime.CROSS:
            return call
        axis = int(op.attrs.axis[0]) % len(shape)
        parts = pieces(source, axis, self._bound)
        groups = self._grouped(parts or [])
        if len(groups) < 2:
            return call
        self._report.applied += 1
        total = None
        for time in _ORDER:
            if time not in groups:
                continue
            given = [self.visit_expr(p.emit(self.builder_.emit)) for p in groups[time]]
            joined = self._emit(relax.op.concat(given, axis)) if len(given) > 1 else given[0]
            part = self._emit(relax.op.sum(joined, [axis], bool(op.attrs.keepdims)))
            total = part if total is None else self._emit(relax.op.add(total, part))
        return total

    def _emit(self, expression: Any) -> Any:
        return self.builder_.emit(expression)

    def _grouped(self, parts: list[Piece]) -> dict[BindingTime, list[Piece]]:
        groups: dict[BindingTime, list[Piece]] = {}
        for part in parts:
            known = [self._times[s] for s in part.sources if s in self._times]
            groups.setdefault(join(known), []).append(part)
        return groups


def split_sums(mod: IRModule, report: PassReport) -> IRModule:
    """Rewrite every such sum of `main`. Idempotent: the sums of one side stay whole."""
    return rewrite_main(mod, _Rewriter(mod, report))
