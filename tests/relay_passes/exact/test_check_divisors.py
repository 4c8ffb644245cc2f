from __future__ import annotations

from typing import Any

import pytest
from tvm.ir import IRModule
from tvm.relax import op

from rtcompile.relay_passes.errors import PassError
from rtcompile.relay_passes.exact.check_divisors import check_divisors
from tests.relay_passes.modules import (
    Emit,
    assert_settled,
    assert_stays,
    calls,
    const,
    network,
    run,
)


def _divided(make: Any, dtype: str = "int64") -> IRModule:
    inputs, dtypes = {"a": ("n", 3), "b": ("n", 3)}, {"a": dtype, "b": dtype}
    return network(inputs, make, dtypes=dtypes)


def _plain(name: str) -> Any:
    return lambda emit, a, b: getattr(op, name)(a, b)


def _calls(mod: IRModule) -> list[str]:
    after, report = run(check_divisors, mod)
    assert report.applied == 1
    assert_settled(check_divisors, after)
    return calls(after)


@pytest.mark.parametrize("name", ["divide", "floor_divide"])
def test_a_quotient_takes_its_sign_after(name: str) -> None:
    found = _calls(_divided(_plain(name)))
    assert [one for one in found if one not in ("equal", "where")] == [
        "rtc.check_divisor.unit",
        name,
        "multiply",
    ]


@pytest.mark.parametrize("name", ["floor_mod", "mod"])
def test_a_remainder_needs_no_sign(name: str) -> None:
    assert _calls(_divided(_plain(name))) == ["rtc.check_divisor.unit", name]


def test_unsigned_divisors_are_checked_for_zero() -> None:
    found = _calls(_divided(_plain("divide"), "uint32"))
    assert found == ["rtc.check_divisor.zero", "divide"]


def test_a_dividend_that_is_never_the_least_does_not_overflow() -> None:
    def body(emit: Emit, a: Any, b: Any) -> Any:
        return op.divide(emit(op.maximum(a, const(0, "int64"))), b)

    assert _calls(_divided(body)) == ["maximum", "rtc.check_divisor.zero", "divide"]


@pytest.mark.parametrize("divisor", [3, -7])
def test_constants_stay(divisor: int) -> None:
    body = lambda emit, a, b: op.divide(a, const(divisor, "int64"))  # noqa: E731
    assert_stays(check_divisors, _divided(body))


def test_floats_stay() -> None:
    assert_stays(check_divisors, _divided(_plain("divide"), "float32"))


def test_minus_one_takes_its_sign_after() -> None:
    body = lambda emit, a, b: op.divide(a, const(-1, "int64"))  # noqa: E731
    assert "rtc.check_divisor.unit" in _calls(_divided(body))


def test_a_constant_zero_is_refused() -> None:
    body = lambda emit, a, b: op.floor_mod(a, const([1, 0, 2], "int64"))  # noqa: E731
    with pytest.raises(PassError, match="floor_mod of integers by a constant zero"):
        run(check_divisors, _divided(body))


def test_a_shift_is_no_wider_than_its_dtype() -> None:
    found = _calls(_divided(_plain("left_shift"), "uint32"))
    assert found == ["minimum", "equal", "left_shift", "where"]


def test_a_short_shift_stays() -> None:
    body = lambda emit, a, b: op.right_shift(a, const(31, "uint32"))  # noqa: E731
    assert_stays(check_divisors, _divided(body, "uint32"))
