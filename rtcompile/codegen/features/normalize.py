"""Normalizers in TIR, in float64. `rtcompile/features/expression.py` is the definition.

Functions come from libm, which Python's math module calls too, so that both give the same bits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.features.tir import f64
from rtcompile.features.expression import (
    Binary,
    Call,
    Conditional,
    Expression,
    Number,
    Unary,
    Variable,
)
from rtcompile.features.plan import Log10Normalizer, MinMaxNormalizer, Normalizer, ZScoreNormalizer

__all__ = ["normalized", "normalizer_name"]


def normalizer_name(normalizer: Normalizer | None) -> str:
    """Part of a kernel's name; "" for none."""
    if normalizer is None:
        return ""
    return "_" + hashlib.sha256(repr(normalizer).encode()).hexdigest()[:8]


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


def compile_expression(expression: Expression, values: dict[str, Any]) -> Any:
    """Emit an expression; both sides of a condition are computed, as neither can fail."""
    if isinstance(expression, Number):
        return f64(expression.value)
    if isinstance(expression, Variable):
        return values[expression.name]
    if isinstance(expression, Unary):
        operand = compile_expression(expression.operand, values)
        if expression.operator == "-":
            return T.Bind(f64(-1.0) * operand)
        return _number(operand == f64(0.0))
    if isinstance(expression, Binary):
        left = compile_expression(expression.left, values)
        right = compile_expression(expression.right, values)
        return T.Bind(_OPERATORS[expression.operator](left, right))
    if isinstance(expression, Conditional):
        condition = compile_expression(expression.condition, values)
        then = compile_expression(expression.then, values)
        otherwise = compile_expression(expression.otherwise, values)
        return T.Bind(tirx.Select(_truth(condition), then, otherwise))
    return _call(expression, [compile_expression(a, values) for a in expression.arguments])


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
