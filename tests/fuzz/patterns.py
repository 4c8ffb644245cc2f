"""Operators as ranking models have them together, so that passes meet."""

from __future__ import annotations

import numpy as np

from tests.fuzz.graph import Graph

__all__ = ["PATTERNS"]


def attention(g: Graph) -> None:
    """softmax(q k / c + mask) v over a masked history."""
    length, width = g.choose((2, 5, 8)), g.choose((4, 8))
    keys = g.input("float32", (length, width))
    query = g.take(["float32"], lambda v: v.shape == (1, width), lambda: (1, width))
    mask = g.take(["bool"], lambda v: v.shape == (1, length), lambda: (1, length))
    turned = g.node("Transpose", [keys], "float32", (width, length), perm=[0, 2, 1])
    scores = g.node("MatMul", [query, turned], "float32", (1, length))
    scale = g.constant(np.array(2.0, np.float32))
    scores = g.node(g.choose(("Div", "Mul")), [scores, scale], "float32", (1, length))
    out = g.constant(np.array(g.choose((-np.inf, -1e9)), np.float32))
    masked = g.node("Where", [mask, scores, out], "float32", (1, length))
    weights = g.node("Softmax", [masked], "float32", (1, length), axis=-1)
    pooled = g.node("MatMul", [weights, keys], "float32", (1, width))
    axis = g.constant(np.array([1], np.int64))
    g.node("Squeeze", [pooled, axis], "float32", (width,))


def pooled_history(g: Graph) -> None:
    """The masked sum, mean or maximum of embeddings, and a guard for none."""
    length, width = g.choose((3, 6)), g.choose((4, 8))
    ids = g.input("int64", (length,), bound=10)
    table = g.constant(g.numbers((10, width), "float32"))
    found = g.node("Gather", [table, ids], "float32", (length, width))
    mask = g.take(["bool"], lambda v: v.shape == (length, 1), lambda: (length, 1))
    axis = g.constant(np.array([1], np.int64))
    if g.chance(2):
        lowest = g.constant(np.array(-np.inf, np.float32))
        kept = g.node("Where", [mask, found, lowest], "float32", found.shape)
        most = g.node("ReduceMax", [kept, axis], "float32", (width,), keepdims=0)
        none = g.node("IsInf", [most], "bool", (width,))
        zero = g.constant(np.array(0.0, np.float32))
        g.node("Where", [none, zero, most], "float32", (width,))
        return
    counted = g.node("Cast", [mask], "float32", mask.shape, to=1)
    taken = g.node("Mul", [found, counted], "float32", found.shape)
    total = g.node("ReduceSum", [taken, axis], "float32", (width,), keepdims=0)
    count = g.node("ReduceSum", [counted, axis], "float32", (1,), keepdims=0)
    if g.chance(2):
        one = g.constant(np.array(1.0, np.float32))
        count = g.node("Max", [count, one], "float32", (1,))
    g.node("Div", [total, count], "float32", (width,))


def factorization(g: Graph) -> None:
    """The pairwise term of a factorization machine: (sum)**2 - sum of squares."""
    x = g.take(["float32"], lambda v: len(v.shape) == 2, lambda: g.shape(2, 2))
    axis = g.constant(np.array([1], np.int64))
    two, half = (g.constant(np.array(n, np.float32)) for n in (2.0, 0.5))
    row = x.shape[1:]
    total = g.node("ReduceSum", [x, axis], "float32", row, keepdims=0)
    squared = g.node("Pow", [total, two], "float32", row)
    squares = g.node("Mul", [x, x], "float32", x.shape)
    other = g.node("ReduceSum", [squares, axis], "float32", row, keepdims=0)
    rest = g.node("Sub", [squared, other], "float32", row)
    g.node("Mul", [rest, half], "float32", row)


def gate(g: Graph) -> None:
    """x0 * (x w) + x of a cross network."""
    x = g.take(["float32"], lambda v: len(v.shape) == 1, lambda: g.shape(1, 1))
    columns = x.shape[0]
    weight = g.constant(g.numbers((columns, g.choose((1, columns))), "float32"))
    wide = g.constants[weight].shape[1]
    y = g.node("MatMul", [x, weight], "float32", (wide,))
    z = g.node("Mul", [x, y], "float32", (columns,))
    g.node("Add", [z, x], "float32", (columns,))


def itself(g: Graph) -> None:
    """What is folded where numbers are real: x == x, x - x, x * 0, (x + y) - y, a + 1 > a."""
    x = g.take([d for d in g.dtypes if d in ("float32", "int32", "int64")])
    kind = g.random.randrange(6)
    if kind == 0:
        same = g.node(g.choose(("Equal", "LessOrEqual", "Less")), [x, x], "bool", x.shape)
        g.node("Not", [same], "bool", x.shape)
    elif kind == 1:
        g.node("Sub", [x, x], x.dtype, x.shape)
    elif kind == 2:
        g.node("Mul", [x, g.constant(np.zeros((), x.dtype))], x.dtype, x.shape)
    elif kind == 3:
        y = g.take([x.dtype], lambda v: v.shape == x.shape, lambda: x.shape)
        total = g.node("Add", [x, y], x.dtype, x.shape)
        g.node("Sub", [total, y], x.dtype, x.shape)
    elif kind == 4:
        more = g.node("Add", [x, g.constant(np.ones((), x.dtype))], x.dtype, x.shape)
        g.node("Greater", [more, x], "bool", x.shape)
    else:
        y = g.take([x.dtype], lambda v: v.shape == x.shape, lambda: x.shape)
        less = g.node("Less", [x, y], "bool", x.shape)
        more = g.node("Less", [y, x], "bool", x.shape)
        g.node(g.choose(("Or", "And")), [less, more], "bool", x.shape)


PATTERNS = (attention, pooled_history, factorization, gate, itself, itself)
