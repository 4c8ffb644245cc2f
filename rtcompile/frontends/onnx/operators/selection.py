"""Operators that order values, or pick the largest.

TopK compares each value with each other of its axis: the rank of a value is how many come before
it, and the place p of the result holds the value of rank p. NaN comes before every number among the
largest, and behind every one among the smallest; of equal values the first comes first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from tvm import relax, te, tirx

from rtcompile.frontends.onnx.operators.node import Node, element_type
from rtcompile.frontends.onnx.operators.shapes import flattened_at
from rtcompile.frontends.onnx.operators.values import Known

__all__ = ["SELECTION"]


def _top_k(node: Node) -> Any:
    extents = node.shape(0)
    axis = node.counted(node.integer("axis", -1), len(extents))
    extent = extents[axis]
    counts = node.parameter("k", 1)
    if counts is None:
        node.refuse("it has no k")
    if not isinstance(extent, int):
        node.refuse("it picks among the rows of a request")
    if not 0 < counts[0] <= extent:
        node.refuse(f"{counts[0]} of an axis of {extent}")
    largest = bool(node.integer("largest", 1))
    found = node.block.emit_te(
        _top_k_places, node.tensor(0), axis, counts[0], largest, primfunc_name_hint="top_k"
    )
    return [node.emit(relax.op.gather_elements(node.tensor(0), found, axis)), found]


def _top_k_places(x: Any, axis: int, count: int, largest: bool) -> Any:
    """int64 indices of the first `count` in order."""
    extent, floats = x.shape[axis], str(x.dtype).startswith(("float", "bfloat"))

    def at(place: tuple[Any, ...], step: Any) -> tuple[Any, ...]:
        return (*place[:axis], step, *place[axis + 1 :])

    def before(a: Any, b: Any) -> Any:
        """Whether a is to come before b, by value."""
        ordered = a > b if largest else a < b
        if not floats:
            return ordered
        a_odd, b_odd = tirx.isnan(a), tirx.isnan(b)
        if largest:
            return tirx.Or(ordered, tirx.And(a_odd, tirx.Not(b_odd)))
        return tirx.Or(ordered, tirx.And(b_odd, tirx.Not(a_odd)))

    step = te.reduce_axis((0, extent), "j")

    def rank(*place: Any) -> Any:
        own, other = x[place], x[at(place, step)]
        # Not "neither comes before": a comparison that is negated loses its NaN when simplified.
        same = own == other
        if floats:
            same = tirx.Or(same, tirx.And(tirx.isnan(own), tirx.isnan(other)))
        counts = tirx.Or(before(other, own), tirx.And(same, step < place[axis]))
        return te.sum(tirx.Cast("int32", counts), axis=step)

    ranks = te.compute(x.shape, rank, name="ranks")
    source = te.reduce_axis((0, extent), "i")
    shape = [*x.shape[:axis], tirx.IntImm("int64", count), *x.shape[axis + 1 :]]

    def index(*place: Any) -> Any:
        hit = ranks[at(place, source)] == tirx.Cast("int32", place[axis])
        chosen = tirx.Select(hit, tirx.Cast("int64", source), tirx.const(0, "int64"))
        return te.sum(chosen, axis=source)

    return te.compute(shape, index, name="places")


def _extreme(largest: bool) -> Callable[[Node], Any]:
    """ArgMax and ArgMin, the first of equal ones or the last."""

    def convert(node: Node) -> Any:
        extents = node.shape(0)
        axis = node.counted(node.integer("axis", 0), len(extents))
        extent = extents[axis]
        if not isinstance(extent, int):
            node.refuse("it picks among the rows of a request")
        keep = bool(node.integer("keepdims", 1))
        make = relax.op.argmax if largest else relax.op.argmin
        if not node.integer("select_last_index", 0):
            return make(node.tensor(0), axis, keep)
        turned = Known(np.arange(extent - 1, -1, -1, dtype=np.int64)).constant
        backwards = node.emit(relax.op.take(node.tensor(0), turned, axis))
        last = node.scalar(extent - 1, "int64")
        return relax.op.subtract(last, node.emit(make(backwards, axis, keep)))

    return convert


def _hardmax(node: Node) -> Any:
    """1 at the first of the largest values of an axis, 0 elsewhere."""
    extents, dtype = node.shape(0), node.dtype(0)
    x, axis = node.tensor(0), node.counted(node.integer("axis", -1), len(extents))
    if node.opset < 13:
        axis = node.counted(node.integer("axis", 1), len(extents))
        x, axis = flattened_at(node, axis), 1
    shape = (extents[axis] if node.opset >= 13 else x.ty.shape.values[1],)
    width = int(shape[0]) if isinstance(shape[0], int | tirx.IntImm) else 0
    if not width:
        node.refuse("it picks among the rows of a request")
    first = node.emit(relax.op.argmax(x, axis, True))
    places = np.arange(width, dtype=np.int64)
    rank = len(x.ty.shape.values)
    column = places.reshape([width if at == axis else 1 for at in range(rank)])
    hit = node.emit(relax.op.equal(first, Known(column).constant))
    return node.reshape(node.emit(relax.op.astype(hit, dtype)), extents)


def _one_hot(node: Node) -> Any:
    """The on value where an index, counted from the end below 0, is a place; nothing outside."""
    depth = int(node.constant(1, "depth").reshape(-1)[0])
    rank = len(node.shape(0))
    axis = node.counted(node.integer("axis", -1), rank + 1)
    indices = node.tensor(0)
    if not str(indices.ty.dtype).startswith(("int", "uint")):
        # Whole numbers in floats are indices; what is no number is none.
        indices = node.emit(relax.op.astype(indices, "int64"))
    dtype = str(indices.ty.dtype)
    if not dtype.startswith("uint"):
        below = node.emit(relax.op.less(indices, node.scalar(0, dtype)))
        counted = node.emit(relax.op.add(indices, node.scalar(depth, dtype)))
        indices = node.emit(relax.op.where(below, counted, indices))
    wide = node.emit(relax.op.expand_dims(indices, [axis]))
    places = np.arange(depth).reshape([depth if at == axis else 1 for at in range(rank + 1)])
    hit = node.emit(relax.op.equal(wide, Known(places.astype(dtype)).constant))
    off, on = (_part(node, place) for place in (0, 1))
    return relax.op.where(hit, on, off)


def _part(node: Node, place: int) -> Any:
    """One of the two values of OneHot."""
    known = node.known(2)
    if known is not None:
        return Known(np.asarray(known.ravel()[place])).constant
    part = relax.op.strided_slice(node.tensor(2), [0], [place], [place + 1])
    return node.emit(relax.op.squeeze(node.emit(part), [0]))


def _trilu(node: Node) -> Any:
    rows, columns = node.shape(0)[-2:]
    if not isinstance(rows, int) or not isinstance(columns, int):
        node.refuse("it masks by a row's number in the request")
    known = node.known(1)
    if node.has(1) and known is None:
        node.refuse("its k must be a constant")
    k = 0 if known is None else int(known.reshape(-1)[0])
    whole: np.ndarray = np.ones((rows, columns), bool)
    kept = np.triu(whole, k) if node.integer("upper", 1) else np.tril(whole, k)
    return relax.op.where(Known(kept).constant, node.tensor(0), node.scalar(0, node.dtype(0)))


def _bit_cast(node: Node) -> Any:
    """The same bits as another type of as many."""
    target = element_type(node.integer("to", 0))
    sizes = {np.dtype(name).itemsize for name in (target, node.dtype(0))}
    if len(sizes) > 1 or "bool" in (target, node.dtype(0)):
        node.refuse(f"{node.dtype(0)} as {target}")

    def bits(x: Any) -> Any:
        return te.compute(x.shape, lambda *at: tirx.reinterpret(target, x[at]), name="bits")

    return node.block.emit_te(bits, node.tensor(0), primfunc_name_hint="bits")


SELECTION: dict[str, Callable[[Node], Any]] = {
    "ArgMax": _extreme(largest=True),
    "ArgMin": _extreme(largest=False),
    "BitCast": _bit_cast,
    "Hardmax": _hardmax,
    "OneHot": _one_hot,
    "TopK": _top_k,
    "Trilu": _trilu,
}
