"""Expressions in plain Python, in float64: the definition that kernels are held to."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from rtcompile.features.expression import (
    Binary,
    Conditional,
    Expression,
    Number,
    Unary,
    Variable,
)

__all__ = ["EARTH", "FUNCTIONS", "VECTOR_FUNCTIONS", "evaluate"]


def _guarded(function: Callable[..., float]) -> Callable[..., float]:
    """C's result where Python raises: NaN outside the domain, infinity on overflow."""

    def call(*arguments: float) -> float:
        try:
            return float(function(*arguments))
        except ValueError:
            return math.nan
        except OverflowError:
            return math.inf

    return call


def _log(base: Callable[[float], float]) -> Callable[..., float]:
    return _guarded(lambda x: -math.inf if x == 0 else base(x))


def _whole(function: Callable[[float], float]) -> Callable[..., float]:
    """Rounding that leaves infinities and NaN as they are."""
    return lambda x: float(function(x)) if math.isfinite(x) else x


def _half_away(x: float) -> float:
    return math.copysign(math.floor(abs(x) + 0.5), x)


def _rounded(x: float, places: float) -> float:
    """x rounded half away from zero to so many decimal places."""
    factor = _guarded(math.pow)(10.0, places)
    return _divide(_whole(_half_away)(x * factor), factor)


# Mean radius of the earth in kilometres.
EARTH = 6371.0
_DEGREE = math.pi / 180.0


def _sphere_distance(lng1: float, lat1: float, lng2: float, lat2: float) -> float:
    """Kilometres, by the law of cosines, of degrees."""
    sine, cosine, arc = _guarded(math.sin), _guarded(math.cos), _guarded(math.acos)
    one, other = lat1 * _DEGREE, lat2 * _DEGREE
    straight = sine(one) * sine(other)
    straight += cosine(one) * cosine(other) * cosine((lng2 - lng1) * _DEGREE)
    return EARTH * arc(min(max(straight, -1.0), 1.0))


def _haversine(lng1: float, lat1: float, lng2: float, lat2: float) -> float:
    """Kilometres, by the haversine formula, of degrees."""
    sine, cosine, arc = _guarded(math.sin), _guarded(math.cos), _guarded(math.asin)
    half_lat = sine((lat2 - lat1) * _DEGREE * 0.5)
    half_lng = sine((lng2 - lng1) * _DEGREE * 0.5)
    inner = half_lng * half_lng * cosine(lat1 * _DEGREE) * cosine(lat2 * _DEGREE)
    root = _guarded(math.sqrt)(half_lat * half_lat + inner)
    return 2.0 * EARTH * arc(min(root, 1.0))


def _sigmoid(x: float) -> float:
    return 1.0 / (1.0 + _guarded(math.exp)(-x))


def _total(values: Sequence[float]) -> float:
    total = 0.0
    for value in values:
        total += value
    return total


def _product(values: Sequence[float]) -> float:
    product = 1.0
    for value in values:
        product *= value
    return product


def _dot(a: Sequence[float], b: Sequence[float]) -> float:
    """Over the places that both have."""
    return _total([x * y for x, y in zip(a, b, strict=False)])


def _squared_distance(a: Sequence[float], b: Sequence[float]) -> float:
    return _total([(x - y) * (x - y) for x, y in zip(a, b, strict=False)])


def _variance(values: Sequence[float], divisor: int) -> float:
    """NaN for a divisor of 0."""
    mean = _total(values) / len(values)
    return _divide(_total([(v - mean) * (v - mean) for v in values]), float(divisor))


def _correlation(a: Sequence[float], b: Sequence[float]) -> float:
    """Pearson's, over the places that both have; NaN where one of them does not vary."""
    count = min(len(a), len(b))
    a, b = a[:count], b[:count]
    first, second = _total(a) / count, _total(b) / count
    joint = _total([(x - first) * (y - second) for x, y in zip(a, b, strict=True)])
    return _divide(joint, math.sqrt(_variance(a, 1)) * math.sqrt(_variance(b, 1)))


def _integer(x: float) -> int:
    """x cut to an int64; 0 where it is none."""
    return int(x) if -_TWO_63 <= x < _TWO_63 else 0


_TWO_63 = 2.0**63


def _divide(a: float, b: float) -> float:
    if b != 0:
        return a / b
    return math.nan if a == 0 or math.isnan(a) else math.copysign(math.inf, a) * math.copysign(1, b)


# name -> implementation; `expression.py` knows the arguments
FUNCTIONS: dict[str, Callable[..., float]] = {
    **{
        name: (_guarded(getattr(math, name)))
        for name in ("sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh")
    },
    **{name: (_guarded(getattr(math, name))) for name in ("asinh", "acosh", "exp", "sqrt")},
    "atanh": _guarded(lambda x: math.copysign(math.inf, x) if abs(x) == 1 else math.atanh(x)),
    "log2": _log(math.log2),
    "log10": _log(math.log10),
    "log": _log(math.log),
    "ln": _log(math.log),
    "abs": abs,
    "sign": lambda x: float((x > 0) - (x < 0)),
    "rint": _whole(round),
    "round": _whole(_half_away),
    "floor": _whole(math.floor),
    "ceil": _whole(math.ceil),
    "trunc": _whole(math.trunc),
    "isnan": lambda x: float(math.isnan(x)),
    "sigmoid": _sigmoid,
    "mod": _guarded(math.fmod),
    "roundp": _rounded,
    "sphere_dist": _sphere_distance,
    "haversine": _haversine,
    "pow": _guarded(math.pow),
    "min": lambda *a: min(a),
    "max": lambda *a: max(a),
    "sum": lambda *a: _total(a),
    "avg": lambda *a: _total(a) / len(a),
}


# name -> implementation over whole vectors
VECTOR_FUNCTIONS: dict[str, Callable[..., float]] = {
    "len": lambda a: float(len(a)),
    "l2_norm": lambda a: math.sqrt(_dot(a, a)),
    "squared_norm": lambda a: _dot(a, a),
    "dot": _dot,
    "euclid_dist": lambda a, b: math.sqrt(_squared_distance(a, b)),
    "corr": _correlation,
    "std_dev": lambda a: math.sqrt(_variance(a, len(a))),
    "pop_std_dev": lambda a: math.sqrt(_variance(a, len(a) - 1)),
    "variance": lambda a: _variance(a, len(a)),
    "pop_variance": lambda a: _variance(a, len(a) - 1),
    "reduce_min": min,
    "reduce_max": max,
    "reduce_sum": _total,
    "reduce_mean": lambda a: _total(a) / len(a),
    "reduce_prod": _product,
}


_OPERATORS: dict[str, Callable[[float, float], float]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": _divide,
    "%": _guarded(math.fmod),
    "^": _guarded(math.pow),
    "<": lambda a, b: float(a < b),
    "<=": lambda a, b: float(a <= b),
    ">": lambda a, b: float(a > b),
    ">=": lambda a, b: float(a >= b),
    "==": lambda a, b: float(a == b),
    "!=": lambda a, b: float(a != b),
    "|": lambda a, b: float(_integer(a) | _integer(b)),
    "&": lambda a, b: float(_integer(a) & _integer(b)),
    "&&": lambda a, b: float(a != 0 and b != 0),
    "||": lambda a, b: float(a != 0 or b != 0),
}


def evaluate(
    expression: Expression,
    values: Mapping[str, float],
    vectors: Mapping[str, Sequence[float]] | None = None,
) -> float:
    """The value in float64. Never raises: division by zero and the like give what C gives.

    `vectors`: all numbers of each variable, at least one, for the vector functions.
    """
    if isinstance(expression, Number):
        return expression.value
    if isinstance(expression, Variable):
        return values[expression.name]
    if isinstance(expression, Unary):
        operand = evaluate(expression.operand, values, vectors)
        return -operand if expression.operator == "-" else float(operand == 0)
    if isinstance(expression, Binary):
        left = evaluate(expression.left, values, vectors)
        return _OPERATORS[expression.operator](left, evaluate(expression.right, values, vectors))
    if isinstance(expression, Conditional):
        taken = evaluate(expression.condition, values, vectors) != 0
        return evaluate(expression.then if taken else expression.otherwise, values, vectors)
    if expression.function in VECTOR_FUNCTIONS:
        assert vectors is not None
        whole = [vectors[a.name] for a in expression.arguments if isinstance(a, Variable)]
        return VECTOR_FUNCTIONS[expression.function](*whole)
    arguments = [evaluate(argument, values, vectors) for argument in expression.arguments]
    return FUNCTIONS[expression.function](*arguments)
