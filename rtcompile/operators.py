"""Operators of one's own, in Python, compiled with the rest of the features.

    # ratio.py
    from rtcompile.operators import Value, log, operator

    @operator
    def LogRatio(clicks: Value, shows: Value, *, floor: float = 1.0) -> Value:
        return log(clicks + floor) - log(shows + floor)

    # fg.json
    {"feature_type": "custom_feature", "feature_name": "ctr", "operator_name": "LogRatio",
     "operator_lib_file": "ratio.py", "expression": ["item:clicks", "item:shows"], "floor": 2}

The function is called once, when the config is read, with a Value for each input; what it returns
is compiled to straight arithmetic in float64. Its keyword-only parameters are keys of the config:
numbers, texts or booleans. It cannot branch on a Value; write `where(condition, a, b)`.

A Value has + - * / % **, comparisons, and & | ~ for truth; this module has the functions of an
expr_feature by name (`log`, `exp`, `max`, `sigmoid`, ...), those of whole vectors included (`dot`,
`reduce_sum`, `len`, ...), which take inputs as they are. Where every input has one number, so has
the result; otherwise the rules of an expr_feature hold.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from rtcompile.features.expression import (
    ARGUMENTS,
    VECTORS,
    Binary,
    Call,
    Conditional,
    Expression,
    Number,
    Unary,
    Variable,
)

__all__ = ["Value", "operator", "where"]

_Function = TypeVar("_Function", bound=Callable[..., Any])


def operator(function: _Function) -> _Function:
    """Mark a function as an operator; its name is the `operator_name`."""
    function.is_operator = True  # type: ignore[attr-defined]
    return function


class Value:
    """A number that is not known yet."""

    def __init__(self, expression: Expression) -> None:
        self.expression = expression

    def __bool__(self) -> bool:
        raise TypeError("a Value is not known yet: write where(condition, a, b), and & | ~")

    def __neg__(self) -> Value:
        return Value(Unary("-", self.expression))

    def __invert__(self) -> Value:
        return Value(Unary("!", self.expression))

    def __abs__(self) -> Value:
        return Value(Call("abs", (self.expression,)))

    __hash__ = None  # type: ignore[assignment]


_Number = Value | float | int


def _expression(value: object) -> Expression:
    if isinstance(value, Value):
        return value.expression
    if isinstance(value, int | float):
        number = Number(abs(float(value)))
        return Unary("-", number) if value < 0 else number
    raise TypeError(f"{type(value).__name__} is no number; a Value, an int or a float is")


def _binary(symbol: str) -> tuple[Callable[[Value, _Number], Value], ...]:
    def forward(self: Value, other: _Number) -> Value:
        return Value(Binary(symbol, self.expression, _expression(other)))

    def backward(self: Value, other: _Number) -> Value:
        return Value(Binary(symbol, _expression(other), self.expression))

    return forward, backward


_ARITHMETIC = {"add": "+", "sub": "-", "mul": "*", "truediv": "/", "mod": "%", "pow": "^"}
_TRUTH = {"and": "&&", "or": "||"}
_COMPARISONS = {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}

for _name, _symbol in (_ARITHMETIC | _TRUTH).items():
    _forward, _backward = _binary(_symbol)
    setattr(Value, f"__{_name}__", _forward)
    setattr(Value, f"__r{_name}__", _backward)
for _name, _symbol in _COMPARISONS.items():
    setattr(Value, f"__{_name}__", _binary(_symbol)[0])


def where(condition: _Number, then: _Number, otherwise: _Number) -> Value:
    """`then` where the condition is not 0, else `otherwise`."""
    return Value(Conditional(*map(_expression, (condition, then, otherwise))))


def __getattr__(name: str) -> Callable[..., Value]:
    if name not in ARGUMENTS and name not in VECTORS:
        raise AttributeError(f"module {__name__!r} has no function {name!r}")

    def call(*arguments: _Number) -> Value:
        given = tuple(map(_expression, arguments))
        least, most = (VECTORS[name], VECTORS[name]) if name in VECTORS else ARGUMENTS[name]
        if len(given) < least or (most is not None and len(given) > most):
            wanted = str(least) if least == most else f"{least} or more"
            raise TypeError(f"{name} takes {wanted} arguments, not {len(given)}")
        if name in VECTORS and not all(isinstance(a, Variable) for a in given):
            raise TypeError(f"{name} takes inputs as they are, not what was computed of them")
        return Value(Call(name, given))

    return call
