"""Compute equal values once, also where views and the order of operands hide that they are equal.

    reshape(reshape(x, s), t)                        ->   reshape(x, t)
    reshape(x, shape of x)                           ->   x
    add(a, b), add(b, a)                             ->   one of them, read twice
    f(x, W), f(x, W) with equal constants            ->   one of them, read twice

f is any operator or named kernel. Upstream's pass finds the last form alone. A sum or product
of two does not depend on the order of its operands, to the bit.
"""

from __future__ import annotations

from typing import Any

import tvm
from tvm import relax
from tvm.ir import IRModule

from rtcompile.relay_passes.matching import bindings, call_name, rewrite_main, shape_of
from rtcompile.relay_passes.report import PassReport

__all__ = ["share_values"]

_COMMUTATIVE = ("relax.add", "relax.multiply")


@relax.expr_functor.mutator
class _Rewriter(relax.PyExprMutator):
    """Brings equal values into one form."""

    def __init__(self, mod: IRModule, report: PassReport) -> None:
        super().__init__(mod)
        self._report = report
        self._seen: set[tuple[str, Any, Any]] = set()

    def visit_call_(self, op: Any) -> Any:
        call = super().visit_call_(op)
        name = call_name(call)
        if name == "relax.reshape":
            return self._view(call)
        return self._ordered(call, name) if name in _COMMUTATIVE else call

    def _view(self, call: Any) -> Any:
        source = call.args[0]
        while isinstance(source, relax.Var):
            inner = self.lookup_binding(source)
            if call_name(inner) != "relax.reshape":
                break
            source = inner.args[0]
        extents = shape_of(source)
        if extents is not None and str(extents) == str(shape_of(call)):
            self._report.applied += 1
            return source
        if source.same_as(call.args[0]):
            return call
        self._report.applied += 1
        return relax.op.reshape(source, call.args[1])

    def _ordered(self, call: Any, name: str) -> Any:
        left, right = call.args
        if (name, right, left) in self._seen and not left.same_as(right):
            return relax.Call(call.op, [right, left], call.attrs, call.ty_args)
        self._seen.add((name, left, right))
        return call


def share_values(mod: IRModule, report: PassReport) -> IRModule:
    """Share the equal values of `main`. Counts the views and values that are gone. Idempotent."""
    viewed = rewrite_main(mod, _Rewriter(mod, report))
    viewed = relax.transform.CanonicalizeBindings()(viewed)
    shared = tvm.ir.transform.Sequential(
        [
            relax.transform.EliminateCommonSubexpr(),
            relax.transform.CanonicalizeBindings(),
            relax.transform.DeadCodeElimination(["main"]),
        ]
    )(viewed)
    report.applied += len(bindings(viewed["main"])) - len(bindings(shared["main"]))
    return shared
