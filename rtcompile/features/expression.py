"""Arithmetic expressions over float64, as normalizers use them: parsed here, evaluated or compiled.

Grammar, loosest first, with C's precedence and meaning:

    conditional   or ? conditional : conditional
    or            and || and
    and           equality && equality
    equality      relation == relation, !=
    relation      sum < sum, <=, >, >=
    sum           product + product, -
    product       unary * unary, /, %
    unary         - unary, ! unary, + unary
    power         atom ^ unary
    atom          number, variable, _pi, _e, function(arguments), (conditional)

Truth is 1.0 or 0.0, and anything but 0 is true.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

__all__ = [
    "Binary",
    "Call",
    "Conditional",
    "Expression",
    "Number",
    "Unary",
    "Variable",
    "evaluate",
    "parse_expression",
]


@dataclass(frozen=True)
class Number:
    """A literal."""

    value: float


@dataclass(frozen=True)
class Variable:
    """An input."""

    name: str


@dataclass(frozen=True)
class Unary:
    """`operator` is "-" or "!"."""

    operator: str
    operand: Expression


@dataclass(frozen=True)
class Binary:
    """`operator` is one of + - * / % ^ < <= > >= == != && ||."""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True)
class Conditional:
    """condition ? then : otherwise."""

    condition: Expression
    then: Expression
    otherwise: Expression


@dataclass(frozen=True)
class Call:
    """A function of FUNCTIONS."""

    function: str
    arguments: tuple[Expression, ...]


Expression = Number | Variable | Unary | Binary | Conditional | Call

_CONSTANTS = {"_pi": math.pi, "_e": math.e}
_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
    r"|(?P<name>[A-Za-z_]\w*)|(?P<operator>\|\||&&|==|!=|<=|>=|[-+*/%^<>!?:(),]))"
)
_LEVELS = (("||",), ("&&",), ("==", "!="), ("<=", ">=", "<", ">"), ("+", "-"), ("*", "/", "%"))


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


def _sigmoid(x: float) -> float:
    return 1.0 / (1.0 + _guarded(math.exp)(-x))


# name -> (least arguments, most arguments or None for any, implementation)
FUNCTIONS: dict[str, tuple[int, int | None, Callable[..., float]]] = {
    **{
        name: (1, 1, _guarded(getattr(math, name)))
        for name in ("sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh")
    },
    **{name: (1, 1, _guarded(getattr(math, name))) for name in ("asinh", "acosh", "exp", "sqrt")},
    "atanh": (
        1,
        1,
        _guarded(lambda x: math.copysign(math.inf, x) if abs(x) == 1 else math.atanh(x)),
    ),
    "log2": (1, 1, _log(math.log2)),
    "log10": (1, 1, _log(math.log10)),
    "log": (1, 1, _log(math.log)),
    "ln": (1, 1, _log(math.log)),
    "abs": (1, 1, abs),
    "sign": (1, 1, lambda x: float((x > 0) - (x < 0))),
    "rint": (1, 1, _whole(round)),
    "round": (1, 1, _whole(_half_away)),
    "floor": (1, 1, _whole(math.floor)),
    "ceil": (1, 1, _whole(math.ceil)),
    "trunc": (1, 1, _whole(math.trunc)),
    "isnan": (1, 1, lambda x: float(math.isnan(x))),
    "sigmoid": (1, 1, _sigmoid),
    "mod": (2, 2, _guarded(math.fmod)),
    "pow": (2, 2, _guarded(math.pow)),
    "min": (1, None, lambda *a: min(a)),
    "max": (1, None, lambda *a: max(a)),
    "sum": (1, None, lambda *a: math.fsum(a) if all(map(math.isfinite, a)) else sum(a)),
    "avg": (1, None, lambda *a: sum(a) / len(a)),
}


def parse_expression(text: str, variables: Collection[str]) -> Expression:
    """Parse `text`. Raises ValueError that gives the position and, for a name, a near match."""
    return _Parser(text, variables).parse()


class _Parser:
    def __init__(self, text: str, variables: Collection[str]) -> None:
        self._text = text
        self._variables = variables
        self._tokens = self._scan()
        self._at = 0

    def _scan(self) -> list[tuple[str, str, int]]:
        tokens, position, end = [], 0, len(self._text.rstrip())
        while position < end:
            match = _TOKEN.match(self._text, position)
            if match is None:
                position += len(self._text[position:]) - len(self._text[position:].lstrip())
                raise ValueError(f"unexpected {self._text[position]!r} at position {position}")
            kind = match.lastgroup or ""
            tokens.append((kind, match.group(kind), match.start(kind)))
            position = match.end()
        return [*tokens, ("end", "", end)]

    def parse(self) -> Expression:
        expression = self._conditional()
        if self._tokens[self._at][0] != "end":
            self._fail()
        return expression

    def _fail(self) -> None:
        kind, text, position = self._tokens[self._at]
        found = "the end" if kind == "end" else repr(text)
        raise ValueError(f"unexpected {found} at position {position}")

    def _accept(self, *operators: str) -> str | None:
        kind, text, _ = self._tokens[self._at]
        if kind == "operator" and text in operators:
            self._at += 1
            return text
        return None

    def _expect(self, operator: str) -> None:
        if not self._accept(operator):
            self._fail()

    def _conditional(self) -> Expression:
        condition = self._level(0)
        if not self._accept("?"):
            return condition
        then = self._conditional()
        self._expect(":")
        return Conditional(condition, then, self._conditional())

    def _level(self, level: int) -> Expression:
        if level == len(_LEVELS):
            return self._unary()
        left = self._level(level + 1)
        while operator := self._accept(*_LEVELS[level]):
            left = Binary(operator, left, self._level(level + 1))
        return left

    def _unary(self) -> Expression:
        operator = self._accept("-", "!", "+")
        if operator is None:
            base = self._atom()
            return Binary("^", base, self._unary()) if self._accept("^") else base
        operand = self._unary()
        return operand if operator == "+" else Unary(operator, operand)

    def _atom(self) -> Expression:
        kind, text, position = self._tokens[self._at]
        if kind == "number":
            self._at += 1
            return Number(float(text))
        if kind == "name":
            self._at += 1
            return self._named(text, position)
        self._expect("(")
        inner = self._conditional()
        self._expect(")")
        return inner

    def _named(self, name: str, position: int) -> Expression:
        if self._accept("("):
            return self._call(name, position)
        if name in self._variables:
            return Variable(name)
        if name in _CONSTANTS:
            return Number(_CONSTANTS[name])
        raise ValueError(_unknown("name", name, position, [*self._variables, *_CONSTANTS]))

    def _call(self, name: str, position: int) -> Expression:
        if name not in FUNCTIONS:
            raise ValueError(_unknown("function", name, position, FUNCTIONS))
        arguments = [self._conditional()]
        while self._accept(","):
            arguments.append(self._conditional())
        self._expect(")")
        least, most, _ = FUNCTIONS[name]
        if len(arguments) < least or (most is not None and len(arguments) > most):
            wanted = str(least) if least == most else f"{least} or more"
            raise ValueError(f"{name} at position {position} takes {wanted} arguments")
        return Call(name, tuple(arguments))


def _unknown(what: str, name: str, position: int, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"unknown {what} {name!r} at position {position}{hint}"


def _divide(a: float, b: float) -> float:
    if b != 0:
        return a / b
    return math.nan if a == 0 or math.isnan(a) else math.copysign(math.inf, a) * math.copysign(1, b)


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
    "&&": lambda a, b: float(a != 0 and b != 0),
    "||": lambda a, b: float(a != 0 or b != 0),
}


def evaluate(expression: Expression, values: Mapping[str, float]) -> float:
    """The value in float64. Never raises: division by zero and the like give what C gives."""
    if isinstance(expression, Number):
        return expression.value
    if isinstance(expression, Variable):
        return values[expression.name]
    if isinstance(expression, Unary):
        operand = evaluate(expression.operand, values)
        return -operand if expression.operator == "-" else float(operand == 0)
    if isinstance(expression, Binary):
        left = evaluate(expression.left, values)
        return _OPERATORS[expression.operator](left, evaluate(expression.right, values))
    if isinstance(expression, Conditional):
        taken = evaluate(expression.condition, values) != 0
        return evaluate(expression.then if taken else expression.otherwise, values)
    arguments = [evaluate(argument, values) for argument in expression.arguments]
    return FUNCTIONS[expression.function][2](*arguments)
