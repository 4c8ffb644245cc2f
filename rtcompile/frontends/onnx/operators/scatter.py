"""Operators that write by indices.

    y[.., p, ..] = the last update u[.., q, ..] where i[.., q, ..] is p, else x[.., p, ..]
    y[.., p, ..] = x[.., p, ..] + the sum of the updates of p; the product, maximum or minimum so

Each place asks all updates of its axis: nothing is written at an address that data decides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from tvm import relax, te, tirx

from rtcompile.frontends.onnx.operators.indexing import checked_index
from rtcompile.frontends.onnx.operators.node import Node
from rtcompile.frontends.onnx.operators.values import Known

__all__ = ["SCATTER"]

_WIDE = {"float16": "float32", "bfloat16": "float32"}

_LAST = "none"


def _larger(a: Any, b: Any) -> Any:
    return tirx.Select(_stays(a, a > b), a, b)


def _smaller(a: Any, b: Any) -> Any:
    return tirx.Select(_stays(a, a < b), a, b)


def _stays(a: Any, ordered: Any) -> Any:
    """Whether a is kept: NaN is."""
    return tirx.Or(ordered, tirx.isnan(a)) if _dtype(a).startswith("float") else ordered


def _dtype(value: Any) -> str:
    return str(value.dtype if hasattr(value, "dtype") else value.ty)


def _lowest(dtype: str) -> Any:
    return tirx.const(-np.inf, dtype) if dtype.startswith("float") else tirx.min_value(dtype)


def _highest(dtype: str) -> Any:
    return tirx.const(np.inf, dtype) if dtype.startswith("float") else tirx.max_value(dtype)


# How two values become one, and the value that changes none.
_COMBINE: dict[str, tuple[Callable[[Any, Any], Any], Callable[[str], Any]]] = {
    "add": (lambda a, b: a + b, lambda dtype: tirx.const(0, dtype)),
    "mul": (lambda a, b: a * b, lambda dtype: tirx.const(1, dtype)),
    "max": (_larger, _lowest),
    "min": (_smaller, _highest),
}


def _reduction(node: Node) -> str:
    reduction = node.text("reduction", _LAST)
    if reduction not in (_LAST, *_COMBINE):
        node.refuse(f"the reduction {reduction!r} is not known")
    return reduction


def _scattered(node: Node, tensors: Sequence[Any], axis: int, reduction: str) -> Any:
    """x, indices and updates of one rank, along an axis."""
    x, indices, updates = tensors
    dtype = str(x.ty.dtype)
    wide = _WIDE.get(dtype, dtype)
    x, updates = node.cast(x, wide), node.cast(updates, wide)

    def compute(x: Any, indices: Any, updates: Any) -> Any:
        return _places(x, indices, updates, axis, reduction)

    return node.cast(
        node.block.emit_te(compute, x, indices, updates, primfunc_name_hint="scatter"), dtype
    )


def _places(x: Any, indices: Any, updates: Any, axis: int, reduction: str) -> Any:
    step = te.reduce_axis((0, indices.shape[axis]), "q")

    def source(place: Sequence[Any], at: Any) -> tuple[Any, ...]:
        return (*place[:axis], at, *place[axis + 1 :])

    def writes(place: Sequence[Any]) -> Any:
        """Whether the update of this step is for a place."""
        inside: Any = tirx.const(True, "bool")
        for own, all_of, some in zip(place, x.shape, indices.shape, strict=True):
            if own is not place[axis] and isinstance(some, tirx.IntImm) and int(some) < int(all_of):
                inside = tirx.And(inside, own < some)
        hit = tirx.Cast("int64", indices[source(place, step)]) == tirx.Cast("int64", place[axis])
        return tirx.if_then_else(inside, hit, tirx.const(False, "bool"))

    if reduction == _LAST:
        none = tirx.const(-1, "int64")
        last = te.compute(
            x.shape,
            lambda *place: te.max(
                tirx.Select(writes(place), tirx.Cast("int64", step), none), axis=step
            ),
            name="last",
        )
        return te.compute(
            x.shape,
            lambda *place: tirx.if_then_else(
                last[place] >= 0, updates[source(place, last[place])], x[place]
            ),
            name="placed",
        )
    combine, neutral = _COMBINE[reduction]
    reducer: Any = te.comm_reducer(combine, neutral, name=reduction)
    dtype = str(x.dtype)

    def total(*place: Any) -> Any:
        update = tirx.if_then_else(writes(place), updates[source(place, step)], neutral(dtype))
        return reducer(update, axis=step)

    totals = te.compute(x.shape, total, name="totals")
    return te.compute(x.shape, lambda *place: combine(x[place], totals[place]), name="placed")


def _scatter_elements(node: Node) -> Any:
    extents, written = node.shape(0), node.shape(1)
    axis = node.counted(node.integer("axis", 0), len(extents))
    if not isinstance(extents[axis], int) or not isinstance(written[axis], int):
        node.refuse("it writes to other rows of a request by their number")
    for place, (all_of, some) in enumerate(zip(extents, written, strict=True)):
        if place != axis and isinstance(all_of, int) != isinstance(some, int):
            node.refuse("rows write to a tensor that all rows share, or to some of the rows")
    indices = checked_index(node, node.tensor(1), [extents[axis]])
    return _scattered(node, (node.tensor(0), indices, node.tensor(2)), axis, _reduction(node))


def _scatter_nd(node: Node) -> Any:
    """By indices of leading axes, which have fixed extents: these as one axis."""
    extents, shape = node.shape(0), node.shape(1)
    if not all(isinstance(extent, int) for extent in shape):
        node.refuse(
            "each row writes by indices of its own: use ScatterElements along an axis behind the "
            "batch"
        )
    depth = shape[-1]
    leading, rest = extents[:depth], extents[depth:]
    if not all(isinstance(extent, int) for extent in leading):
        node.refuse("it writes to other rows of a request by their number")
    count = int(np.prod(shape[:-1]))
    steps = np.array([int(np.prod(leading[at + 1 :])) for at in range(depth)], np.int64)
    indices = checked_index(node, node.tensor(1), leading)
    scaled = node.emit(relax.op.multiply(indices, Known(steps).constant))
    flat = node.reshape(
        node.emit(relax.op.sum(scaled, [len(shape) - 1])), [count, *[1] * len(rest)]
    )
    places = node.emit(relax.op.broadcast_to(flat, relax.ShapeExpr([count, *rest])))
    x = node.reshape(node.tensor(0), [int(np.prod(leading)), *rest])
    updates = node.reshape(node.tensor(2), [count, *rest])
    return node.reshape(_scattered(node, (x, places, updates), 0, _reduction(node)), extents)


def _tensor_scatter(node: Node) -> Any:
    """New entries of a cache, [n, .., length, ..], from a place on that each row has of its own."""
    cache, update = node.shape(0), node.shape(1)
    axis = node.counted(node.integer("axis", -2), len(cache))
    length, count = cache[axis], update[axis]
    if not isinstance(length, int) or not isinstance(count, int):
        node.refuse("its axis is the batch")
    wide = [count if at == axis else 1 for at in range(len(cache))]
    places: Any = Known(np.arange(count, dtype=np.int64).reshape(wide)).constant
    if node.has(2):
        start = node.reshape(node.tensor(2), [cache[0], *[1] * (len(cache) - 1)])
        places = node.emit(relax.op.add(node.cast(start, "int64"), places))
    if node.text("mode", "linear") == "circular":
        places = node.emit(relax.op.floor_mod(places, node.scalar(length, "int64")))
    else:
        places = checked_index(node, places, [length], wraps=False)
    places = node.emit(relax.op.broadcast_to(places, relax.ShapeExpr(list(update))))
    return _scattered(node, (node.tensor(0), places, node.tensor(1)), axis, _LAST)


SCATTER: dict[str, Callable[[Node], Any]] = {
    "Scatter": _scatter_elements,
    "ScatterElements": _scatter_elements,
    "ScatterND": _scatter_nd,
    "TensorScatter": _tensor_scatter,
}
