"""Operators that move, cut and join values, and look them up."""

from __future__ import annotations

import numpy as np

from tests.fuzz.graph import Graph, Value

__all__ = ["SHAPING"]


def concat(g: Graph) -> None:
    """Two or three values along an axis of the row."""
    x = g.take(g.dtypes)
    axis = g.random.randrange(len(x.shape))
    parts = [x]

    def like(v: Value) -> bool:
        return len(v.shape) == len(x.shape) and _without(v.shape, axis) == _without(x.shape, axis)

    for _ in range(g.choose((1, 1, 2))):
        parts.append(g.take([x.dtype], like, lambda: x.shape))
    if sum(v.shape[axis] for v in parts) > 60:
        return
    shape = list(x.shape)
    shape[axis] = sum(v.shape[axis] for v in parts)
    g.node("Concat", parts, x.dtype, tuple(shape), axis=g.choose((axis + 1, axis - len(shape))))


def _without(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return shape[:axis] + shape[axis + 1 :]


def cut(g: Graph) -> None:
    """A slice along an axis of the row, perhaps by steps or backwards."""
    x = g.take(g.dtypes)
    axis = g.random.randrange(len(x.shape))
    extent = x.shape[axis]
    start = g.random.randrange(extent)
    end = g.random.randint(start + 1, extent)
    step = g.choose((1, 1, 1, 2))
    shape = list(x.shape)
    shape[axis] = len(range(start, end, step))
    numbers = [g.constant(np.array([n], np.int64)) for n in (start, end, axis + 1, step)]
    g.node("Slice", [x, *numbers], x.dtype, tuple(shape))


def split(g: Graph) -> None:
    """In two along an axis of the row."""
    x = g.take(g.dtypes)
    axis = g.random.randrange(len(x.shape))
    if x.shape[axis] < 2:
        return
    first = g.random.randint(1, x.shape[axis] - 1)
    sizes, shapes = (first, x.shape[axis] - first), []
    for size in sizes:
        shapes.append((*x.shape[:axis], size, *x.shape[axis + 1 :]))
    given = g.constant(np.array(sizes, np.int64))
    g.node_of_many("Split", [x, given], [(x.dtype, s) for s in shapes], axis=axis + 1)


def transpose(g: Graph) -> None:
    """The axes of the row in another order."""
    x = g.take(g.dtypes)
    order = list(range(len(x.shape)))
    g.random.shuffle(order)
    shape = tuple(x.shape[i] for i in order)
    g.node("Transpose", [x], x.dtype, shape, perm=[0, *(i + 1 for i in order)])


def reshape(g: Graph) -> None:
    """The row flat, or its last axis cut in two, or an axis of one more or less."""
    x = g.take(g.dtypes)
    size = int(np.prod(x.shape))
    shapes = [(size,), (1, *x.shape), (*x.shape, 1)]
    shapes += [(*x.shape[:-1], x.shape[-1] // n, n) for n in (2, 3) if x.shape[-1] % n == 0]
    shape = g.choose(shapes)
    rows = g.choose((0, -1))
    g.node("Reshape", [x, g.constant(np.array([rows, *shape], np.int64))], x.dtype, shape)


def squeeze(g: Graph) -> None:
    """An axis of one removed, or made."""
    x = g.take(g.dtypes)
    ones = [i for i, extent in enumerate(x.shape) if extent == 1 and len(x.shape) > 1]
    if ones:
        axis = g.choose(ones)
        given = g.constant(np.array([axis + 1], np.int64))
        g.node("Squeeze", [x, given], x.dtype, _without(x.shape, axis))
    elif len(x.shape) < 4:
        axis = g.random.randint(1, len(x.shape) + 1)
        given = g.constant(np.array([axis], np.int64))
        g.node("Unsqueeze", [x, given], x.dtype, (*x.shape[: axis - 1], 1, *x.shape[axis - 1 :]))


def pick(g: Graph) -> None:
    """Constant indices of an axis of the row."""
    x = g.take(g.dtypes)
    axis = g.random.randrange(len(x.shape))
    count = g.choose((None, 1, 3))
    indices = np.array(
        [g.random.randrange(-x.shape[axis], x.shape[axis]) for _ in range(count or 1)], np.int64
    )
    shape = (*x.shape[:axis], *([count] if count else []), *x.shape[axis + 1 :])
    if not shape:
        return
    given = g.constant(indices if count else indices[0])
    g.node("Gather", [x, given], x.dtype, shape, axis=axis + 1)


def look_up(g: Graph) -> None:
    """Rows of a table by ids of an input, perhaps summed."""
    rows, width = g.choose((3, 10, 40)), g.choose((1, 4, 8, 16))
    ids = g.input(g.choose(("int32", "int64")), g.choose(((), (1,), (4,), (2, 3))), bound=rows)
    table = g.constant(g.numbers((rows, width), "float32"))
    found = g.node("Gather", [table, ids], "float32", (*ids.shape, width))
    if len(found.shape) > 1 and g.chance(2):
        axes = g.constant(np.array([1], np.int64))
        g.node("ReduceSum", [found, axes], "float32", found.shape[1:], keepdims=0)


def expand(g: Graph) -> None:
    """Axes of one repeated."""
    x = g.take(g.dtypes)
    wide = tuple(g.choose((1, 3)) if extent == 1 else extent for extent in x.shape)
    g.node("Expand", [x, g.constant(np.array([1, *wide], np.int64))], x.dtype, wide)


def pad(g: Graph) -> None:
    """The last axis with a constant."""
    x = g.take(["float32"])
    before, after = g.random.randrange(3), g.random.randrange(3)
    rank = len(x.shape) + 1
    pads = [0] * (2 * rank)
    pads[rank - 1], pads[-1] = before, after
    shape = (*x.shape[:-1], x.shape[-1] + before + after)
    value = g.constant(g.numbers((), "float32"))
    g.node("Pad", [x, g.constant(np.array(pads, np.int64)), value], x.dtype, shape)


SHAPING = (
    *(concat, concat, cut, cut, split, transpose, reshape, reshape),
    *(squeeze, pick, look_up, look_up, expand, pad),
)
