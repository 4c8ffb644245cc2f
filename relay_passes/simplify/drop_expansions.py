"""Let element-wise operators broadcast what was expanded before.

    multiply(multiply(q, ones), k)   ->   multiply(q, k)        where the result's shape is the same

Attention units expand the target to the length of a sequence, in memory; an element-wise operator
broadcasts on its own.
"""

from __future__ import annotations

from typing import Any

from tvm import relax
from tvm.ir import IRModule

from rtcompile.relay_passes.matching import (
    bindings,
    call_name,
    expanded_source,
    rewrite_main,
    shape_of,
)
from rtcompile.relay_passes.report import PassReport

__all__ = ["drop_expansions"]

_BINARY = tuple(f"relax.{name}" for name in ("add", "subtract", "multiply", "divide"))


@relax.expr_functor.mutator
class _Rewriter(relax.PyExprMutator):
    def __init__(self, mod: IRModule, report: PassReport) -> None:
        super().__init__(mod)
        self._report = report
        self._bound = bindings(mod["main"])

    def visit_call_(self, op: Any) -> Any:
        if call_name(op) not in _BINARY:
            return super().visit_call_(op)
        left, right = op.args
        wanted = shape_of(op)
        sources = [expanded_source(self._bound.get(left)), expanded_source(self._bound.get(right))]
        for pair in ((sources[0], sources[1]), (sources[0], right), (left, sources[1])):
            if pair[0] is None or pair[1] is None or not _broadcasts(*pair, wanted):
                continue
            self._report.applied += 1
            moved = [self.visit_expr(operand) for operand in pair]
            return relax.Call(op.op, moved, op.attrs)
        return super().visit_call_(op)


def _broadcasts(left: Any, right: Any, wanted: tuple[Any, ...] | None) -> bool:
    """Whether the operands give the shape `wanted`."""
    a, b = shape_of(left), shape_of(right)
    if a is None or b is None or wanted is None or not len(a) == len(b) == len(wanted):
        return False
    for x, y, z in zip(a, b, wanted, strict=True):
        one_is_it = str(x) == str(z) and (str(y) in ("1", str(z)))
        other_is_it = str(y) == str(z) and str(x) == "1"
        if not one_is_it and not other_is_it:
            return False
    return True


def drop_expansions(mod: IRModule, report: PassReport) -> IRModule:
    """Rewrite every such operator of `main`. Idempotent."""
    return rewrite_main(mod, _Rewriter(mod, report))
