"""Normalizers in TIR, in float64. `rtcompile/features/expression.py` is the definition.

Functions come from libm, which Python's math module calls too, so that both give the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit.tir import f64
from rtcompile.codegen.features.vectors import Vector, vector_function
from rtcompile.features.evaluate import EARTH
from rtcompile.features.expression import (
    VECTORS,
    Binary,
    Call,
    Conditional,
    Expression,
    Number,
    Unary,
    Variable,
)
from rtcompile.features.plan import Log10Normalizer, MinMaxNormalizer, Normalizer, ZScoreNormalizer

__all__ = ["compile_expression", "normalized"]


def normalized(normalizer: Normalizer | None, x: Any) -> Any:
    """Emit a number's normalizer."""
    if normalizer is None:
        return x
    if isinstance(normalizer, Log10Normalizer):
        above = x > f64(normalizer.threshold)
        safe = tirx.Select(above, x, f64(1.0))
        return T.Bind(tirx.Select(above, _libm("log10", safe), f64(normalizer.default)))
    if isinstance(normalizer, ZScoreNormalizer):
        return T.Bind((x - f64(normalizer.mean)) / f64(normalizer.standard_deviation))
    if isinstance(normalizer, MinMaxNormalizer):
        low, high = normalizer.minimum, normalizer.maximum
        return T.Bind((x - f64(low)) / f64(high - low))
    return compile_expression(normalizer.expression, {"x": x})


def _libm(name: str, *arguments: Any) -> Any:
    return T.Bind(T.call_pure_extern("float64", name, *arguments))


def _truth(value: Any) -> Any:
    return value != f64(0.0)


def _number(condition: Any) -> Any:
    return T.Bind(tirx.Cast("float64", condition))


def _integer(x: Any) -> Any:
    """x cut to an int64; 0 where it is none."""
    return T.Bind(tirx.Cast("int64", T.Bind(tirx.Select(is_int64(x), x, f64(0.0)))))


def is_int64(x: Any) -> Any:
    """Whether an int64 holds x without its fraction."""
    return tirx.And(x >= f64(-(2.0**63)), x < f64(2.0**63))


def _bits(value: Any) -> Any:
    return T.Bind(tirx.Cast("float64", value))


_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": tirx.Div,
    "%": lambda a, b: _libm("fmod", a, b),
    "^": lambda a, b: _libm("pow", a, b),
    "<": lambda a, b: _number(a < b),
    "<=": lambda a, b: _number(a <= b),
    ">": lambda a, b: _number(a > b),
    ">=": lambda a, b: _number(a >= b),
    "==": lambda a, b: _number(a == b),
    "!=": lambda a, b: _number(a != b),
    "|": lambda a, b: _bits(_integer(a) | _integer(b)),
    "&": lambda a, b: _bits(_integer(a) & _integer(b)),
    "&&": lambda a, b: _number(tirx.And(_truth(a), _truth(b))),
    "||": lambda a, b: _number(tirx.Or(_truth(a), _truth(b))),
}

_LIBM = {
    **{
        name: name
        for name in (
            *("sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh"),
            *("asinh", "acosh", "atanh", "exp", "sqrt", "log2", "log10", "log"),
            *("rint", "round", "floor", "ceil", "trunc", "pow"),
        )
    },
    "ln": "log",
    "abs": "fabs",
    "mod": "fmod",
}


def compile_expression(
    expression: Expression, values: dict[str, Any], vectors: dict[str, Vector] | None = None
) -> Any:
    """Emit an expression; both sides of a condition are computed, as neither can fail.

    `vectors`: whole variables, for the vector functions.
    """
    if isinstance(expression, Number):
        return f64(expression.value)
    if isinstance(expression, Variable):
        return values[expression.name]
    if isinstance(expression, Unary):
        operand = compile_expression(expression.operand, values, vectors)
        if expression.operator == "-":
            return T.Bind(f64(-1.0) * operand)
        return _number(operand == f64(0.0))
    if isinstance(expression, Binary):
        left = compile_expression(expression.left, values, vectors)
        right = compile_expression(expression.right, values, vectors)
        return T.Bind(_OPERATORS[expression.operator](left, right))
    if isinstance(expression, Conditional):
        condition = compile_expression(expression.condition, values, vectors)
        then = compile_expression(expression.then, values, vectors)
        otherwise = compile_expression(expression.otherwise, values, vectors)
        return T.Bind(tirx.Select(_truth(condition), then, otherwise))
    if expression.function in VECTORS:
        assert vectors is not None
        whole = [vectors[a.name] for a in expression.arguments if isinstance(a, Variable)]
        return vector_function(expression.function, whole)
    return _call(expression, [compile_expression(a, values, vectors) for a in expression.arguments])


def _call(call: Call, arguments: list[Any]) -> Any:
    name = call.function
    if name in _LIBM:
        return _libm(_LIBM[name], *arguments)
    first = arguments[0]
    if name == "isnan":
        return _number(tirx.isnan(first))
    if name == "sign":
        return T.Bind(_number(first > f64(0.0)) - _number(first < f64(0.0)))
    if name == "sigmoid":
        negative = _libm("exp", f64(-1.0) * first)
        return T.Bind(tirx.Div(f64(1.0), f64(1.0) + negative))
    if name == "roundp":
        return _rounded(*arguments)
    if name in ("sphere_dist", "haversine"):
        return (_sphere_distance if name == "sphere_dist" else _haversine)(*arguments)
    if name in ("min", "max"):
        best = first
        for other in arguments[1:]:
            better = other < best if name == "min" else other > best
            best = T.Bind(tirx.Select(better, other, best))
        return best
    total = first
    for other in arguments[1:]:
        total = T.Bind(total + other)
    if name == "avg":
        return T.Bind(total / f64(float(len(arguments))))
    assert name == "sum"
    return total


def _rounded(x: Any, places: Any) -> Any:
    factor = _libm("pow", f64(10.0), places)
    return T.Bind(tirx.Div(_libm("round", T.Bind(x * factor)), factor))


_DEGREE = math.pi / 180.0


def _sphere_distance(lng1: Any, lat1: Any, lng2: Any, lat2: Any) -> Any:
    one, other = T.Bind(lat1 * f64(_DEGREE)), T.Bind(lat2 * f64(_DEGREE))
    straight = T.Bind(_libm("sin", one) * _libm("sin", other))
    apart = _libm("cos", T.Bind((lng2 - lng1) * f64(_DEGREE)))
    straight = T.Bind(straight + _libm("cos", one) * _libm("cos", other) * apart)
    above = T.Bind(tirx.Select(f64(-1.0) > straight, f64(-1.0), straight))
    return T.Bind(f64(EARTH) * _libm("acos", tirx.Select(f64(1.0) < above, f64(1.0), above)))


def _haversine(lng1: Any, lat1: Any, lng2: Any, lat2: Any) -> Any:
    half_lat = _libm("sin", T.Bind((lat2 - lat1) * f64(_DEGREE) * f64(0.5)))
    half_lng = _libm("sin", T.Bind((lng2 - lng1) * f64(_DEGREE) * f64(0.5)))
    one, other = T.Bind(lat1 * f64(_DEGREE)), T.Bind(lat2 * f64(_DEGREE))
    inner = T.Bind(half_lng * half_lng * _libm("cos", one) * _libm("cos", other))
    root = _libm("sqrt", T.Bind(half_lat * half_lat + inner))
    return T.Bind(f64(2.0 * EARTH) * _libm("asin", tirx.Select(f64(1.0) < root, f64(1.0), root)))
