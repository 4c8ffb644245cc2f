"""A kernel that comes as TIR divides by whatever it is given, and raises no signal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tvm import te, tirx

from rtcompile.codegen.emit.safe_divisors import with_safe_divisors
from rtcompile.codegen.lowering.generic import lower_generic
from tests.rtcompile.kernels import compiled

Operator = Callable[[Any, Any], Any]

_OPERATORS: dict[str, tuple[Operator, Operator]] = {
    "truncdiv": (tirx.truncdiv, lambda a, b: abs(a) // abs(b) * (-1 if (a < 0) != (b < 0) else 1)),
    "truncmod": (tirx.truncmod, lambda a, b: abs(a) % abs(b) * (-1 if a < 0 else 1)),
    "floordiv": (tirx.floordiv, lambda a, b: a // b),
    "floormod": (tirx.floormod, lambda a, b: a % b),
}


def _operands(dtype: str) -> tuple[Any, Any]:
    """All pairs of numbers that hurt."""
    limits = np.iinfo(dtype)
    ends = [
        0,
        1,
        2,
        7,
        limits.max,
        limits.min,
        limits.min + 1,
        limits.max // 3 * (limits.min and -1),
    ]
    a, b = np.meshgrid(np.array(ends, dtype), np.array([*ends[:7], limits.min and -1], dtype))
    return a.ravel(), b.ravel()


@pytest.mark.slow
@pytest.mark.parametrize(
    "dtype", [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 32, 64)]
)
@pytest.mark.parametrize("name", _OPERATORS)
def test_every_quotient_is_defined(name: str, dtype: str) -> None:
    make, exact = _OPERATORS[name]
    a, b = _operands(dtype)
    x, y = (te.placeholder((len(a),), dtype, name=each) for each in "xy")
    function = te.create_prim_func([x, y, te.compute((len(a),), lambda i: make(x[i], y[i]))])
    kernel = lower_generic(function, "divided")
    out = np.zeros_like(a)
    compiled(kernel.function, [dtype] * 3, "".join(kernel.llvm))(a, b, out, 0)
    pairs = zip(a.tolist(), b.tolist(), strict=True)
    want = [exact(p, q) if q else 0 for p, q in pairs]
    wrapped = np.array([number & (1 << 64) - 1 for number in want], np.uint64).astype(dtype)
    assert out[b != 0].tolist() == wrapped[b != 0].tolist()


def test_divisors_that_no_data_decides_stay() -> None:
    x = te.placeholder((64,), "int64", name="x")
    function = te.create_prim_func([x, te.compute((64,), lambda i: x[i] // 7 + x[i % 3])])
    assert with_safe_divisors(function).same_as(function)


def test_quotients_of_floats_stay() -> None:
    x = te.placeholder((64,), "float32", name="x")
    function = te.create_prim_func([x, te.compute((64,), lambda i: x[0] / x[i])])
    assert with_safe_divisors(function).same_as(function)
