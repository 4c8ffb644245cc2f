"""Say `maximum` and `minimum` where the ONNX importer says it in another way.

    call_tir(maximum, (x, bound))                            Clip     ->   maximum(x, bound)
    max(stack((broadcast_to(x), broadcast_to(y)), 0), [0])   Max      ->   maximum(x, y)

and the same of minimum. The importer makes a Clip TIR at once, which no pass can see into, and a
Max of two tensors a reduction of twice their size.
"""

from __future__ import annotations

import functools
import re
from typing import Any

from tvm import relax
from tvm.ir import IRModule

from relay_passes.matching import bindings, call_name, rewrite_main, shape_of
from relay_passes.report import PassReport

__all__ = ["raise_bounds"]

_OPERATORS = {"maximum": relax.op.maximum, "minimum": relax.op.minimum}
_REDUCTIONS = {"relax.max": relax.op.maximum, "relax.min": relax.op.minimum}


@relax.expr_functor.mutator
class _Rewriter(relax.PyExprMutator):
    def __init__(self, mod: IRModule, report: PassReport) -> None:
        super().__init__(mod)
        self._report = report
        self._bound = bindings(mod["main"])

    def visit_call_(self, op: Any) -> Any:
        found = self._clip(op) or self._stacked(op)
        if found is None:
            return super().visit_call_(op)
        self._report.applied += 1
        make, operands = found
        values = [self.visit_expr(operand) for operand in operands]
        return functools.reduce(lambda a, b: make(self.builder_.emit(a), b), values[1:], values[0])

    def _clip(self, call: Any) -> tuple[Any, list[Any]] | None:
        if call_name(call) != "relax.call_tir" or not isinstance(call.args[1], relax.Tuple):
            return None
        name = re.sub(r"\d+$", "", call.args[0].name_hint)
        operands = list(call.args[1].fields)
        if name not in _OPERATORS or len(operands) != 2:
            return None
        return (_OPERATORS[name], operands) if _same(operands[0], call) else None

    def _stacked(self, call: Any) -> tuple[Any, list[Any]] | None:
        make = _REDUCTIONS.get(call_name(call) or "")
        if make is None or call.attrs.keepdims or [int(a) for a in call.attrs.axis or ()] != [0]:
            return None
        stack: Any = self._bound.get(call.args[0])
        if call_name(stack) != "relax.stack" or int(stack.attrs.axis) != 0:
            return None
        parts = self._bound.get(stack.args[0], stack.args[0])
        operands = [self._narrow(part) for part in parts.fields]
        # One of them must have the result's shape, or the operators would give a smaller one.
        whole = [operand for operand in operands if _same(operand, call)]
        rest = [operand for operand in operands if not any(operand is w for w in whole)]
        return (make, [*whole, *rest]) if whole and len(operands) > 1 else None

    def _narrow(self, part: Any) -> Any:
        """x of broadcast_to(x); `part` itself where it is none."""
        value: Any = self._bound.get(part, part)
        return value.args[0] if call_name(value) == "relax.broadcast_to" else part


def _same(a: Any, b: Any) -> bool:
    return [str(e) for e in shape_of(a) or ()] == [str(e) for e in shape_of(b) or ()]


def raise_bounds(mod: IRModule, report: PassReport) -> IRModule:
    """Rewrite every such operator of `main`. Idempotent."""
    return rewrite_main(mod, _Rewriter(mod, report))
