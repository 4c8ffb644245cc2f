"""exp, sigmoid and tanh of float32 as arithmetic that LLVM vectorises.

A call of libm costs one call a value. These are a few operations a vector, within 2 units in the
last place of the true value:

    exp(x) = 2**n * e**r,  n = floor(x / ln 2 + 1/2),  r = x - n ln 2 in two parts,
    e**r by the minimax polynomial of Cephes' expf, 2**n by its bits

Below -87.3 the result is 0 (libm gives a denormal), above 88.7 infinity; NaN stays NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tvm
import tvm_ffi
from tvm import tirx

__all__ = ["exp", "sigmoid", "tanh", "with_vector_math"]

_LOWEST, _HIGHEST = -87.3, 88.72283
_COEFFICIENTS = (
    *(1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3),
    *(4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1),
)


def _f(value: float) -> Any:
    return tirx.const(value, "float32")


def _let(name: str, value: Any, body: Callable[[Any], Any]) -> Any:
    """`body` of a value that is computed once."""
    var = tirx.Var(name, "float32")
    return tirx.Let(var, value, body(var))


def exp(x: Any) -> Any:
    """e**x of a float32 expression."""
    return _let("x", x, _exp)


def _exp(x: Any) -> Any:
    # A comparison with NaN is false: it goes through as the lowest, and comes back at the end.
    inside = tirx.Select(x > _f(_LOWEST), x, _f(_LOWEST))
    inside = tirx.Select(inside < _f(_HIGHEST), inside, _f(_HIGHEST))
    value = _let("inside", inside, _exp_inside)
    value = tirx.Select(x < _f(_LOWEST), _f(0.0), value)
    value = tirx.Select(x > _f(_HIGHEST), _f(float("inf")), value)
    return tirx.Select(tirx.isnan(x), x, value)


def _exp_inside(x: Any) -> Any:
    def of_power(n: Any) -> Any:
        rest = x - n * _f(0.693359375) - n * _f(-2.12194440e-4)
        return _let("r", rest, lambda r: _times_power(_series(r), n))

    return _let("n", tirx.floor(x * _f(1.44269504088896341) + _f(0.5)), of_power)


def _series(r: Any) -> Any:
    series = _f(_COEFFICIENTS[0])
    for coefficient in _COEFFICIENTS[1:]:
        series = series * r + _f(coefficient)
    return series * r * r + r + _f(1.0)


def _times_power(value: Any, n: Any) -> Any:
    """`value` * 2**n for -126 <= n <= 128, in two factors: 2**128 is no float32."""
    whole = tirx.Cast("int32", n)
    half = tirx.shift_right(whole, tirx.const(1, "int32"))
    return value * _bits(half) * _bits(whole - half)


def _bits(power: Any) -> Any:
    shifted = tirx.shift_left(power + tirx.const(127, "int32"), tirx.const(23, "int32"))
    return tirx.reinterpret("float32", shifted)


def sigmoid(x: Any) -> Any:
    """1 / (1 + e**-x)."""
    return _f(1.0) / (_f(1.0) + exp(_f(0.0) - x))


def tanh(x: Any) -> Any:
    """1 - 2 / (e**2x + 1), odd; a polynomial below 0.625, where that would cancel (Cephes)."""
    return _let("x", x, _tanh)


def _tanh(x: Any) -> Any:
    sign = tirx.Select(x < _f(0.0), _f(-1.0), _f(1.0))
    # A Let stands once: two copies of one would bind the same variable twice.
    large = sign * (_f(1.0) - _f(2.0) / (exp(x * sign * _f(2.0)) + _f(1.0)))
    series = _f(-5.70498872745e-3)
    for value in (2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1):
        series = series * (x * x) + _f(value)
    small = series * (x * x) * x + x
    return tirx.Select(x * sign < _f(0.625), small, large)


_REPLACED = {"tirx.exp": exp, "tirx.sigmoid": sigmoid, "tirx.tanh": tanh}


def with_vector_math(function: Any) -> Any:
    """A PrimFunc with its calls of exp, sigmoid and tanh of float32 replaced."""

    def replaced(call: Any) -> Any:
        make = _REPLACED.get(str(getattr(call.op, "name", "")))
        return call if make is None or str(call.ty) != "float32" else make(call.args[0])

    return tvm_ffi.structural_map(function, (tvm.ir.Call, replaced))
