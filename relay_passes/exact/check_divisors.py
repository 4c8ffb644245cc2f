"""Let no integer division, remainder or shift of a request raise a signal.

    divide(a, b)        ->   multiply(divide(a, c), where(b == -1, -1, 1)),
                             c = call_dps_packed("rtc.check_divisor.unit", (b,))
    floor_mod(a, b)     ->   floor_mod(a, c)
    left_shift(a, b)    ->   where(b < bits, left_shift(a, minimum(b, bits - 1)), 0)

A divisor of zero is told in the status words. The least integer by -1 has no quotient, and raises a
signal on x86: c is 1 there, and the sign comes after. What cannot be 0, or -1, is left as it is.
Shifts by the width and beyond give 0, not whatever the processor makes of them.
"""

from __future__ import annotations

from typing import Any

from tvm import relax
from tvm.ir import IRModule

from rtcompile.relay_passes.analysis.value_ranges import Range, ValueRanges, dtype_range
from rtcompile.relay_passes.dialect.checked_values import CHECK_DIVISOR
from rtcompile.relay_passes.errors import PassError
from rtcompile.relay_passes.matching import (
    bindings,
    call_name,
    constant_array,
    dtype_of,
    kernel_symbol,
    rewrite_main,
)
from rtcompile.relay_passes.report import PassReport

__all__ = ["check_divisors"]

_DIVISIONS = ("relax.divide", "relax.floor_divide", "relax.floor_mod", "relax.mod")
_QUOTIENTS = ("relax.divide", "relax.floor_divide")
_SHIFTS = ("relax.left_shift", "relax.right_shift")


@relax.expr_functor.mutator
class _Rewriter(relax.PyExprMutator):
    def __init__(self, mod: IRModule, report: PassReport) -> None:
        super().__init__(mod)
        self._report = report
        self._bound = bindings(mod["main"])
        self._ranges = ValueRanges(self._bound)

    def visit_call_(self, op: Any) -> Any:
        name = call_name(op)
        if name in _DIVISIONS + _SHIFTS and dtype_of(op).startswith(("int", "uint")):
            by = self._ranges.of(op.args[1])
            assert by is not None  # an integer lies in its dtype, at least
            return self._shift(op, by) if name in _SHIFTS else self._divide(op, by)
        return super().visit_call_(op)

    def _divide(self, op: Any, by: Range) -> Any:
        divided, divisor = op.args
        array = constant_array(divisor)
        if kernel_symbol(self._bound.get(divisor)).startswith(CHECK_DIVISOR):
            return super().visit_call_(op)
        may_be_zero = array is None and by.least <= 0 <= by.most
        overflows = self._overflows(divided, by)
        if not may_be_zero and not overflows:
            return super().visit_call_(op)
        self._report.applied += 1
        new_divided, new_divisor = self.visit_expr(divided), self.visit_expr(divisor)
        symbol = f"{CHECK_DIVISOR}.{'unit' if overflows else 'zero'}"
        operand = relax.Tuple([new_divisor])
        safe = self.builder_.emit(relax.op.call_dps_packed(symbol, operand, out_ty=divisor.ty))
        result = relax.Call(op.op, [new_divided, safe], op.attrs, op.ty_args)
        if not overflows or call_name(op) not in _QUOTIENTS:
            return result
        one, minus = (relax.const(number, dtype_of(op)) for number in (1, -1))
        sign = relax.op.where(relax.op.equal(new_divisor, minus), minus, one)
        return relax.op.multiply(self.builder_.emit(result), self.builder_.emit(sign))

    def _overflows(self, divided: Any, by: Range) -> bool:
        """Whether the least integer may be divided by -1."""
        dtype = dtype_of(divided)
        whole, found = dtype_range(dtype), self._ranges.of(divided)
        assert whole is not None
        assert found is not None
        return dtype.startswith("int") and by.least <= -1 <= by.most and found.least == whole.least

    def _shift(self, op: Any, by: Range) -> Any:
        dtype = dtype_of(op)
        bits = int(dtype.lstrip("uint"))
        if by.within(0, bits - 1):
            return super().visit_call_(op)
        self._report.applied += 1
        shifted, places = self.visit_expr(op.args[0]), self.visit_expr(op.args[1])
        fewer = relax.op.minimum(places, relax.const(bits - 1, dtype))
        if not dtype.startswith("u"):
            fewer = relax.op.maximum(fewer, relax.const(0, dtype))
        amount = self.builder_.emit(fewer)
        inside = self.builder_.emit(relax.op.equal(amount, places))
        result = self.builder_.emit(relax.Call(op.op, [shifted, amount], op.attrs, op.ty_args))
        return relax.op.where(inside, result, relax.const(0, dtype))


def _refuse_zeros(function: Any) -> None:
    for value in bindings(function).values():
        name = call_name(value)
        array = constant_array(value.args[1]) if name in _DIVISIONS else None
        if array is not None and array.dtype.kind in "iu" and (array == 0).any():
            raise PassError(f"{str(name).removeprefix('relax.')} of integers by a constant zero")


def check_divisors(mod: IRModule, report: PassReport) -> IRModule:
    """Check every integer divisor of `main`. Idempotent. Raises PassError for a constant zero."""
    _refuse_zeros(mod["main"])
    return rewrite_main(mod, _Rewriter(mod, report))
