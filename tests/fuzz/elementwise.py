"""Operators element by element."""

from __future__ import annotations

from tests.fuzz.graph import Graph, Value, element_type

__all__ = ["ELEMENTWISE"]

_UNARY = (
    *("Relu", "LeakyRelu", "Elu", "Selu", "Celu", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh"),
    *("Softplus", "Softsign", "ThresholdedRelu", "Exp", "Log", "Sqrt", "Abs", "Neg", "Sign"),
    *("Floor", "Ceil", "Round", "Erf", "Reciprocal", "Mish", "Gelu", "Identity", "Sin", "Cos"),
)
_WITH_ALPHA = ("LeakyRelu", "Elu", "Celu", "ThresholdedRelu")
_OF_INTEGERS = ("Abs", "Neg", "Sign", "Identity", "Relu")
_BINARY = ("Add", "Sub", "Mul", "Div", "Max", "Min", "Pow")
_COMPARISONS = ("Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Equal")


def unary(g: Graph) -> None:
    """An operator of one float, or integer where it has such."""
    operator = g.choose(_UNARY)
    numbers = [d for d in g.dtypes if d != "bool"]
    dtypes = numbers if operator in _OF_INTEGERS else [d for d in numbers if "float" in d]
    if operator == "Relu":
        dtypes = [d for d in dtypes if not d.startswith("u") and d != "int64"]
    x = g.take(dtypes)
    if operator == "Neg" and x.dtype.startswith("u"):
        return
    attributes = {"alpha": g.choose((0.5, 1.0, 0.1))} if operator in _WITH_ALPHA else {}
    g.node(operator, [x], x.dtype, x.shape, **attributes)


def predicate(g: Graph) -> None:
    """IsNaN, IsInf with its attributes, Not."""
    operator = g.choose(("IsNaN", "IsInf", "Not"))
    x = g.take(["bool"] if operator == "Not" else ["float32"])
    signs = {}
    if operator == "IsInf":
        signs = {f"detect_{s}": g.choose((0, 1)) for s in ("negative", "positive")}
    g.node(operator, [x], "bool", x.shape, **signs)


def clip(g: Graph) -> None:
    """Between bounds of which either may be missing."""
    x = g.take([d for d in g.dtypes if d != "bool"])
    low, high = sorted(g.numbers((2,), x.dtype, plain=True).tolist())
    bounds = [g.constant(g.numbers((), x.dtype, plain=True) * 0 + b) for b in (low, high)]
    given = g.choose(([x, *bounds], [x, bounds[0]], [x, "", bounds[1]]))
    g.node("Clip", given, x.dtype, x.shape)


def prelu(g: Graph) -> None:
    """With a slope for each column."""
    x = g.take()
    g.node(
        "PRelu", [x, g.constant(g.numbers(x.shape[-1:], "float32", plain=True))], x.dtype, x.shape
    )


def operand(g: Graph, x: Value, plain: bool = False) -> tuple[Value | str, tuple[int, ...]]:
    """What stands beside `x` in a binary operator, and the shape of the result."""
    kind = g.random.randrange(6)
    if kind == 0:
        return g.constant(g.numbers((), x.dtype, plain)), x.shape
    if kind == 1:
        return g.constant(
            g.numbers(x.shape[g.random.randrange(len(x.shape) + 1) :], x.dtype, plain)
        ), x.shape
    if kind == 2:
        return x, x.shape
    same = g.take([x.dtype], lambda v: _broadcast(v.shape, x.shape) is not None, lambda: x.shape)
    shape = _broadcast(same.shape, x.shape)
    assert shape is not None
    return same, shape


def _broadcast(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...] | None:
    if len(a) != len(b) or any(x != y and 1 not in (x, y) for x, y in zip(a, b, strict=True)):
        return None
    return tuple(max(x, y) for x, y in zip(a, b, strict=True))


def binary(g: Graph) -> None:
    """Arithmetic; a divisor of integers is a constant that is not 0."""
    operator = g.choose(_BINARY)
    x = g.take([d for d in g.dtypes if d != "bool" and (operator != "Pow" or "float" in d)])
    other, shape = operand(g, x)
    if operator == "Div" and "int" in x.dtype:
        other, shape = g.constant(abs(g.numbers((), x.dtype)) + 1), x.shape
    if operator == "Pow" and isinstance(other, Value):
        other, shape = g.constant(g.numbers((), x.dtype, plain=True) * 2), x.shape
    pair = (
        [x, other]
        if operator in ("Div", "Pow") and "int" in x.dtype
        else g.choose(([x, other], [other, x]))
    )
    g.node(operator, pair, x.dtype, shape)


def comparison(g: Graph) -> None:
    """Of numbers or, Equal, of truths; often negated."""
    operator = g.choose(_COMPARISONS)
    x = g.take([d for d in g.dtypes if d != "bool"])
    other, shape = operand(g, x)
    found = g.node(operator, g.choose(([x, other], [other, x])), "bool", shape)
    if g.chance(3):
        g.node("Not", [found], "bool", shape)


def logic(g: Graph) -> None:
    """And, Or, Xor."""
    x = g.take(["bool"])
    other, shape = operand(g, x)
    g.node(g.choose(("And", "Or", "Xor")), [x, other], "bool", shape)


def where(g: Graph) -> None:
    """By a condition of the same shape."""
    x = g.take(g.dtypes)
    condition = g.take(["bool"], lambda v: v.shape == x.shape, lambda: x.shape)
    other, shape = operand(g, x)
    g.node("Where", [condition, *g.choose(([x, other], [other, x]))], x.dtype, shape)


def cast(g: Graph) -> None:
    """Between all types."""
    x, to = g.take(g.dtypes), g.choose(g.dtypes)
    g.node("Cast", [x], to, x.shape, to=element_type(to))


def remainder(g: Graph) -> None:
    """Mod by a constant: of integers with the divisor's sign, of floats with the dividend's."""
    x = g.take([d for d in g.dtypes if d != "bool"])
    divisor = g.constant(abs(g.numbers((), x.dtype, plain=True)) + g.numbers((), x.dtype) * 0 + 1)
    of_floats = 1 if "float" in x.dtype else g.choose((0, 1))
    g.node("Mod", [x, divisor], x.dtype, x.shape, fmod=of_floats)


ELEMENTWISE = (
    *(unary, unary, unary, binary, binary, binary, comparison, comparison, where, clip),
    *(predicate, prelu, logic, cast, remainder),
)
