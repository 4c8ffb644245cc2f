"""Operators over axes: reductions, softmax, norms, pools, products."""

from __future__ import annotations

import numpy as np

from tests.fuzz.graph import Graph

__all__ = ["REDUCING"]

_REDUCTIONS = (
    *("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2"),
    *("ReduceSumSquare", "ReduceLogSumExp", "ReduceLogSum"),
)
_OF_INTEGERS = ("ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd")


def reduction(g: Graph) -> None:
    """Along one axis of the row, or two."""
    operator = g.choose(_REDUCTIONS)
    dtypes = [d for d in g.dtypes if "float" in d or ("int" in d and operator in _OF_INTEGERS)]
    x = g.take(dtypes)
    axes = sorted({g.random.randrange(len(x.shape)) for _ in range(g.choose((1, 1, 2)))})
    keep = g.choose((0, 1)) if len(axes) < len(x.shape) else 1
    kept = tuple(1 if i in axes else extent for i, extent in enumerate(x.shape))
    shape = kept if keep else tuple(e for i, e in enumerate(x.shape) if i not in axes)
    given = g.constant(np.array([a + 1 for a in axes], np.int64))
    g.node(operator, [x, given], x.dtype, shape, keepdims=keep)


def arg_extreme(g: Graph) -> None:
    """ArgMax or ArgMin, the first or the last."""
    x = g.take([d for d in g.dtypes if d != "bool"])
    axis = g.random.randrange(len(x.shape))
    keep = g.choose((0, 1)) if len(x.shape) > 1 else 1
    shape = tuple(
        1 if i == axis else extent for i, extent in enumerate(x.shape) if keep or i != axis
    )
    g.node(
        g.choose(("ArgMax", "ArgMin")), [x], "int64", shape,
        axis=g.choose((axis + 1, axis - len(x.shape))), keepdims=keep,
        select_last_index=g.choose((0, 0, 1)),
    )  # fmt: skip


def softmax(g: Graph) -> None:
    """Along an axis of the row, perhaps of masked scores."""
    x = g.take()
    if g.chance(2):
        mask = g.take(["bool"], lambda v: v.shape == x.shape, lambda: x.shape)
        out = g.constant(np.array(g.choose((-np.inf, -1e9, -3.4028235e38)), np.float32))
        x = g.node("Where", [mask, x, out], "float32", x.shape)
    operator = g.choose(("Softmax", "Softmax", "LogSoftmax"))
    g.node(
        operator, [x], "float32", x.shape, axis=g.choose((-1, g.random.randint(1, len(x.shape))))
    )


def normalization(g: Graph) -> None:
    """LayerNormalization of the last axis, or BatchNormalization."""
    x = g.take(["float32"], lambda v: len(v.shape) < 3, lambda: g.shape(1, 2))
    if g.chance(2):
        parts = [g.constant(g.numbers(x.shape[-1:], "float32", plain=True)) for _ in range(2)]
        g.node("LayerNormalization", [x, *parts], "float32", x.shape, axis=-1, epsilon=1e-3)
        return
    columns = x.shape[:1]
    parts = [g.numbers(columns, "float32", plain=True) for _ in range(4)]
    parts[3] = abs(parts[3]) + np.float32(0.25)
    g.node("BatchNormalization", [x, *map(g.constant, parts)], "float32", x.shape)


def pool(g: Graph) -> None:
    """MaxPool or AveragePool along the last axis."""
    x = g.take(["float32"], lambda v: len(v.shape) == 2 and v.shape[1] > 2, lambda: (3, 8))
    kernel, stride = g.choose((2, 3)), g.choose((1, 2))
    before = g.choose((0, 0, 1))
    length = (x.shape[1] + 2 * before - kernel) // stride + 1
    operator = g.choose(("MaxPool", "MaxPool", "AveragePool"))
    g.node(
        operator, [x], "float32", (x.shape[0], length),
        kernel_shape=[kernel], strides=[stride], pads=[before, before],
    )  # fmt: skip


def product(g: Graph) -> None:
    """A value by a constant matrix, often with a bias and an activation behind it."""
    x = g.take(shape=lambda: g.shape(1, 2))
    columns = g.choose((1, 2, 4, 16, 33))
    weight = g.constant(g.numbers((x.shape[-1], columns), "float32"))
    y = g.node("MatMul", [x, weight], "float32", (*x.shape[:-1], columns))
    if g.chance(2):
        bias = g.constant(g.numbers((columns,), "float32"))
        y = g.node("Add", [y, bias], "float32", y.shape)
    if g.chance(2):
        g.node(
            g.choose(("Relu", "Sigmoid", "Tanh", "LeakyRelu", "Elu", "Softplus")),
            [y],
            "float32",
            y.shape,
        )


def gemm(g: Graph) -> None:
    """As torch writes a layer."""
    x = g.take(["float32"], lambda v: len(v.shape) == 1, lambda: g.shape(1, 1))
    columns = g.choose((1, 3, 8, 20))
    weight = g.constant(g.numbers((columns, x.shape[0]), "float32"))
    bias = g.constant(g.numbers((columns,), "float32"))
    scales = {"alpha": g.choose((1.0, 0.5)), "beta": g.choose((1.0, 2.0))}
    y = g.node("Gemm", [x, weight, bias], "float32", (columns,), transB=1, **scales)
    if g.chance(2):
        g.node("Relu", [y], "float32", y.shape)


def product_of_two(g: Graph) -> None:
    """Of [.., m, k] by [.., k, n], both of the row."""
    x = g.take(["float32"], lambda v: len(v.shape) == 2, lambda: g.shape(2, 2))
    columns = g.choose((1, 3, 8))
    fits = lambda v: len(v.shape) == 2 and v.shape[0] == x.shape[1]  # noqa: E731
    other = g.take(["float32"], fits, lambda: (x.shape[1], columns))
    g.node("MatMul", [x, other], "float32", (x.shape[0], other.shape[1]))


def running(g: Graph) -> None:
    """CumSum along an axis of the row."""
    x = g.take()
    axis = g.constant(np.array(g.random.randint(1, len(x.shape)), np.int64))
    flags = {"exclusive": g.choose((0, 1)), "reverse": g.choose((0, 1))}
    g.node("CumSum", [x, axis], x.dtype, x.shape, **flags)


REDUCING = (
    *(reduction, reduction, reduction, arg_extreme, softmax, softmax, normalization, pool),
    *(product, product, gemm, product_of_two, product_of_two),
)
