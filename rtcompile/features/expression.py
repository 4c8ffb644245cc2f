"""Arithmetic expressions over float64: parsed here, evaluated or compiled elsewhere.

Grammar, loosest first, with C's precedence and meaning:

    conditional   or ? conditional : conditional
    or            and || and
    and           bits && bits
    bits          relation | relation, then &, of the operands cut to int64
    relation      sum < sum, <=, >, >=, ==, !=
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
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from typing import Any

__all__ = [
    "ARGUMENTS",
    "VECTORS",
    "Binary",
    "Call",
    "Conditional",
    "Expression",
    "Number",
    "Unary",
    "Variable",
    "by_position",
    "checked",
    "has_vectors",
    "parse_expression",
    "renamed",
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
    """A function of ARGUMENTS, or of VECTORS over whole variables."""

    function: str
    arguments: tuple[Expression, ...]


Expression = Number | Variable | Unary | Binary | Conditional | Call

_CONSTANTS = {"_pi": math.pi, "_e": math.e}
_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
    r"|(?P<name>[A-Za-z_]\w*)|(?P<operator>\|\||&&|==|!=|<=|>=|[-+*/%^<>!?:(),|&]))"
)
_LEVELS = (
    ("||",),
    ("&&",),
    ("|",),
    ("&",),
    ("<=", ">=", "<", ">", "==", "!="),
    ("+", "-"),
    ("*", "/", "%"),
)
_LEVEL_OF = {operator: level for level, operators in enumerate(_LEVELS) for operator in operators}

# Passes and kernels walk an expression from level to level.
MOST_LEVELS, MOST_OPERATIONS = 128, 4096
_SPLIT_UP = "compute parts of it in features of their own, with stub_type"


# Function -> the least and the most arguments, None for any number.
ARGUMENTS: dict[str, tuple[int, int | None]] = {
    **dict.fromkeys(("sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh"), (1, 1)),
    **dict.fromkeys(("asinh", "acosh", "atanh", "exp", "sqrt", "log2", "log10", "log"), (1, 1)),
    **dict.fromkeys(("ln", "abs", "sign", "rint", "round", "floor", "ceil", "trunc"), (1, 1)),
    **dict.fromkeys(("isnan", "sigmoid"), (1, 1)),
    **dict.fromkeys(("mod", "pow", "roundp"), (2, 2)),
    **dict.fromkeys(("sphere_dist", "haversine"), (4, 4)),
    **dict.fromkeys(("min", "max", "sum", "avg"), (1, None)),
}

# Function of whole vectors -> how many.
VECTORS: dict[str, int] = {
    **dict.fromkeys(("len", "l2_norm", "squared_norm", "std_dev", "pop_std_dev"), 1),
    **dict.fromkeys(("variance", "pop_variance", "reduce_min", "reduce_max"), 1),
    **dict.fromkeys(("reduce_sum", "reduce_mean", "reduce_prod"), 1),
    **dict.fromkeys(("dot", "euclid_dist", "corr"), 2),
}


def has_vectors(expression: Expression) -> bool:
    """Whether a vector function is called anywhere in it."""
    if isinstance(expression, Call) and expression.function in VECTORS:
        return True
    return any(map(has_vectors, _parts(expression)))


def parse_expression(text: str, variables: Collection[str]) -> Expression:
    """Parse `text`. Raises ValueError that gives the position and, for a name, a near match."""
    return checked(_Parser(text, variables).parse())


def checked(expression: Expression) -> Expression:
    """The expression itself. Raises ValueError where it is too deep, or too long, to compile.

    Parts that are used more than once count as often.
    """
    level, depth, count = [expression], 0, 0
    while level:
        depth, count = depth + 1, count + len(level)
        if depth > MOST_LEVELS:
            raise ValueError(f"more than {MOST_LEVELS} operations inside each other; {_SPLIT_UP}")
        if count > MOST_OPERATIONS:
            raise ValueError(f"more than {MOST_OPERATIONS} operations; {_SPLIT_UP}")
        level = [part for one in level for part in _parts(one)]
    return expression


def _parts(expression: Expression) -> tuple[Expression, ...]:
    """What it is made of."""
    if isinstance(expression, Unary):
        return (expression.operand,)
    if isinstance(expression, Binary):
        return (expression.left, expression.right)
    if isinstance(expression, Conditional):
        return (expression.condition, expression.then, expression.otherwise)
    return expression.arguments if isinstance(expression, Call) else ()


def renamed(expression: Expression, names: Mapping[str, str]) -> Expression:
    """The expression with other names for its variables."""
    if isinstance(expression, Variable):
        return Variable(names[expression.name])
    if isinstance(expression, Number):
        return expression
    parts: dict[str, Any] = {}
    for part in fields(expression):
        value = getattr(expression, part.name)
        if isinstance(value, tuple):
            parts[part.name] = tuple(renamed(one, names) for one in value)
        elif not isinstance(value, str):
            parts[part.name] = renamed(value, names)
    return replace(expression, **parts)


def by_position(names: Sequence[str]) -> dict[str, str]:
    """Name -> the place of an input, for `renamed`: formulas that differ in names alone are one."""
    return {name: str(index) for index, name in reversed(list(enumerate(names)))}


class _Parser:
    def __init__(self, text: str, variables: Collection[str]) -> None:
        self._text = text
        self._variables = variables
        self._tokens = self._scan()
        self._at = self._depth = 0

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

    @contextmanager
    def _deeper(self) -> Iterator[None]:
        """Whether what is parsed may have another level. Raises ValueError."""
        self._depth += 1
        if self._depth > MOST_LEVELS:
            raise ValueError(f"more than {MOST_LEVELS} operations inside each other; {_SPLIT_UP}")
        yield
        self._depth -= 1

    def _conditional(self) -> Expression:
        with self._deeper():
            condition = self._binary(0)
            if not self._accept("?"):
                return condition
            then = self._conditional()
            self._expect(":")
            return Conditional(condition, then, self._conditional())

    def _binary(self, loosest: int) -> Expression:
        """Operators of a level, and of those that bind tighter; from the left."""
        left = self._unary()
        while (level := self._level_here()) >= loosest:
            operator = self._tokens[self._at][1]
            self._at += 1
            left = Binary(operator, left, self._binary(level + 1))
        return left

    def _level_here(self) -> int:
        """The level of the operator at hand, -1 for none."""
        kind, text, _ = self._tokens[self._at]
        return _LEVEL_OF.get(text, -1) if kind == "operator" else -1

    def _unary(self) -> Expression:
        with self._deeper():
            return self._signed()

    def _signed(self) -> Expression:
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
        if name == "rnd":
            raise ValueError(f"rnd at position {position}: a feature must be reproducible")
        if name not in ARGUMENTS and name not in VECTORS:
            known = [*ARGUMENTS, *VECTORS]
            raise ValueError(_unknown("function", name, position, known))
        arguments = [self._conditional()]
        while self._accept(","):
            arguments.append(self._conditional())
        self._expect(")")
        if name in VECTORS:
            wanted = VECTORS[name]
            if len(arguments) != wanted or not all(isinstance(a, Variable) for a in arguments):
                raise ValueError(f"{name} at position {position} takes {wanted} variables")
            return Call(name, tuple(arguments))
        least, most = ARGUMENTS[name]
        if len(arguments) < least or (most is not None and len(arguments) > most):
            number = str(least) if least == most else f"{least} or more"
            raise ValueError(f"{name} at position {position} takes {number} arguments")
        return Call(name, tuple(arguments))


def _unknown(what: str, name: str, position: int, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"unknown {what} {name!r} at position {position}{hint}"
