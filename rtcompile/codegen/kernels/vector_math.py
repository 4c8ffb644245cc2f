"""exp, log, sigmoid, tanh, erf and their like of float32 as arithmetic that LLVM vectorises.

A call of libm costs one call a value. These are a few operations a vector, within 2 units in the
last place of the true value (log1p 3, erf 5e-7 in all):

    exp(x) = 2**n * e**r,  n = floor(x / ln 2 + 1/2),  r = x - n ln 2 in two parts,
    e**r by the minimax polynomial of Cephes' expf, 2**n by its bits
    log(x) = n ln 2 + log(m),  sqrt(1/2) <= m < sqrt(2), by the polynomial of Cephes' logf
    erf(x) = x p(x**2) / q(x**2) up to 4 in size, where it is 1 in float32; p of degree 6, q of 4

exp below -104 is 0, where a float32 has no number left, above 88.7 infinity; NaN stays NaN. The
powers of a softmax are 0 from -87.68 on, half a power of two below the least normal number, as in
ONNX Runtime.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import tvm
import tvm_ffi
from tvm import tirx

__all__ = [
    "erf",
    "exp",
    "exp_of_softmax",
    "log",
    "log1p",
    "power",
    "sigmoid",
    "tanh",
    "with_vector_math",
]

_LOWEST, _HIGHEST = -103.97208, 88.72283
_LOWEST_OF_SOFTMAX = -126.5 * math.log(2)
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
    return _let("x", x, lambda x: _exp(x, _LOWEST))


def exp_of_softmax(x: Any) -> Any:
    """e**x of what is 0 at most."""
    return _let("x", x, lambda x: _exp(x, _LOWEST_OF_SOFTMAX))


def _exp(x: Any, lowest: float) -> Any:
    # What is too low goes through as 0: near the lowest some processors compute a denormal number a
    # hundred times as slowly. (At the lowest itself LLVM would see that it need not.) So does NaN,
    # with which comparisons are false; it comes back at the end.
    inside = tirx.Select(x > _f(lowest - 1), x, _f(0.0))
    inside = tirx.Select(inside < _f(_HIGHEST), inside, _f(_HIGHEST))
    value = _let("inside", inside, _exp_inside)
    value = tirx.Select(x > _f(lowest), value, _f(0.0))
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
    """`value` * 2**n for -150 <= n <= 128, in two factors: 2**128 is no float32, nor 2**-150."""
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


_LOG = (
    *(7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1),
    *(-1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1),
)
_SMALLEST_NORMAL = 1.1754943508222875e-38


def log(x: Any) -> Any:
    """The natural logarithm; of 0 -infinity, of less NaN."""
    return _let("x", x, _log)


def _log(x: Any) -> Any:
    small = x < _f(_SMALLEST_NORMAL)
    scaled = tirx.Select(small, x * _f(8388608.0), x)

    def of_bits(y: Any) -> Any:
        bits = tirx.reinterpret("int32", y)
        power = tirx.shift_right(bits, tirx.const(23, "int32")) - tirx.const(126, "int32")
        power = power - tirx.Select(small, tirx.const(23, "int32"), tirx.const(0, "int32"))
        low = tirx.bitwise_and(bits, tirx.const(0x7FFFFF, "int32"))
        half = tirx.reinterpret("float32", tirx.bitwise_or(low, tirx.const(0x3F000000, "int32")))
        exponent = tirx.Cast("float32", power)
        return _let("m", half, lambda m: _let("n", exponent, lambda n: _log_of(m, n)))

    value = _let("scaled", scaled, of_bits)
    value = tirx.Select(x < _f(float("inf")), value, x)  # infinity and NaN as they are
    value = tirx.Select(x < _f(0.0), _f(float("nan")), value)
    return tirx.Select(tirx.EQ(x, _f(0.0)), _f(float("-inf")), value)


def _log_of(m: Any, n: Any) -> Any:
    """log(m * 2**n) of 1/2 <= m < 1."""
    below = m < _f(0.707106781186547524)
    mantissa = tirx.Select(below, m + m, m) - _f(1.0)
    exponent = tirx.Select(below, n - _f(1.0), n)
    return _let("r", mantissa, lambda r: _let("e", exponent, lambda e: _log_series(r, e)))


def _log_series(r: Any, e: Any) -> Any:
    series = _f(_LOG[0])
    for coefficient in _LOG[1:]:
        series = series * r + _f(coefficient)
    rest = series * r * (r * r) + e * _f(-2.12194440e-4) - _f(0.5) * (r * r)
    return r + rest + e * _f(0.693359375)


def log1p(x: Any) -> Any:
    """log(1 + x), with the part of x that the sum loses put back."""
    return _let("x", x, lambda x: _let("u", _f(1.0) + x, lambda u: _log1p(x, u)))


def _log1p(x: Any, u: Any) -> Any:
    value = log(u) * (x / (u - _f(1.0)))
    value = tirx.Select(tirx.EQ(u, _f(1.0)), x, value)
    # 1 + x is rounded to nothing beside a large x; of -1 it is 0, whose logarithm is -infinity.
    return tirx.Select(tirx.And(u > _f(0.0), u < _f(1e30)), value, log(u))


_ERF_ABOVE = (
    *(-2.72614225801306e-10, 2.77068142495902e-08, -2.10102402082508e-06, -5.69250639462346e-05),
    *(-7.34990630326855e-04, -2.95459980854025e-03, -1.60960333262415e-02),
)
_ERF_BELOW = (
    *(-1.45660718464996e-05, -2.13374055278905e-04, -1.68282697438203e-03),
    *(-7.37332916720468e-03, -1.42647390514189e-02),
)


def erf(x: Any) -> Any:
    """The error function."""
    return _let("x", x, _erf)


def _erf(x: Any) -> Any:
    inside = tirx.Select(x > _f(-4.0), x, _f(-4.0))
    inside = tirx.Select(inside < _f(4.0), inside, _f(4.0))
    value = _let("inside", inside, lambda y: _let("z", y * y, lambda z: _ratio(y, z)))
    return tirx.Select(tirx.isnan(x), x, value)


def _ratio(y: Any, z: Any) -> Any:
    above, below = _f(_ERF_ABOVE[0]), _f(_ERF_BELOW[0])
    for coefficient in _ERF_ABOVE[1:]:
        above = above * z + _f(coefficient)
    for coefficient in _ERF_BELOW[1:]:
        below = below * z + _f(coefficient)
    return y * above / below


_MOST_FACTORS = 4


def power(x: Any, exponent: Any) -> Any:
    """x**exponent: products and roots where the exponent is a small constant, else libm's."""
    if not isinstance(exponent, tirx.FloatImm):
        return tirx.pow(x, exponent)
    value = float(exponent.value)
    if value == 0.5:
        return tirx.sqrt(x)  # as TVM has it; pow of -infinity would be infinity
    if not value.is_integer() or not 1 <= abs(value) <= _MOST_FACTORS:
        return tirx.pow(x, exponent)

    def product(x: Any) -> Any:
        result = x
        for _ in range(int(abs(value)) - 1):
            result = result * x
        return result if value > 0 else _f(1.0) / result

    return _let("x", x, product)


_REPLACED: dict[str, Callable[..., Any]] = {
    "tirx.exp": exp,
    "tirx.log": log,
    "tirx.log1p": log1p,
    "tirx.sigmoid": sigmoid,
    "tirx.tanh": tanh,
    "tirx.erf": erf,
    "tirx.pow": power,
}


def with_vector_math(function: Any) -> Any:
    """A PrimFunc with the calls of float32 functions that are known here replaced.

    A call whose argument has a replaced call in it stays one of libm: TVM's simplifier takes time
    that is exponential in how deep a Let lies in the values of others.
    """

    def replaced(call: Any) -> Any:
        make = _REPLACED.get(str(getattr(call.op, "name", "")))
        if make is None or str(call.ty) != "float32" or any(map(_has_let, call.args)):
            return call
        return make(*call.args)

    return tvm_ffi.structural_map(function, (tvm.ir.Call, replaced))


def _has_let(expression: Any) -> bool:
    found: list[Any] = []
    tvm_ffi.structural_walk(expression, (tirx.Let, found.append), order="post")
    return bool(found)
