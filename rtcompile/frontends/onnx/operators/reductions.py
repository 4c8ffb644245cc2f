"""Reductions along axes, which are an attribute in older opsets and an input in newer ones.

float16 and bfloat16 are summed in float32. Without axes, all are meant, the batch among them, or
with `noop_with_empty_axes` none: then each value is reduced alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from tvm import relax

from rtcompile.frontends.onnx.operators.node import Node

__all__ = ["REDUCTIONS"]

_WIDE = {"float16": "float32", "bfloat16": "float32"}

# A tensor, axes (none for no reduction at all), whether these are kept.
Reduce = Callable[[Node, Any, list[int], bool], Any]


def _reduction(reduce: Reduce, wide: bool = True) -> Callable[[Node], Any]:
    def convert(node: Node) -> Any:
        extents, dtype = node.shape(0), node.dtype(0)
        given = node.parameter("axes", 1)
        axes = [node.counted(axis, len(extents)) for axis in given or ()]
        if not axes and not node.integer("noop_with_empty_axes", 0):
            axes = list(range(len(extents)))
        if any(not isinstance(extents[axis], int) for axis in axes):
            node.refuse(
                "it reduces along the batch: the score of a row would depend on the other rows of "
                "the request; give axes behind the first one"
            )
        x = node.cast(node.tensor(0), _WIDE.get(dtype, dtype) if wide else dtype)
        return node.cast(reduce(node, x, axes, bool(node.integer("keepdims", 1))), dtype)

    return convert


def _sum(node: Node, x: Any, axes: list[int], keep: bool) -> Any:
    return node.emit(relax.op.sum(x, axes, keep)) if axes else x


def _mean(node: Node, x: Any, axes: list[int], keep: bool) -> Any:
    if not axes:
        return x
    dtype = str(x.ty.dtype)
    if dtype.startswith("float"):
        return node.emit(relax.op.mean(x, axes, keep))
    extents = node.extents_of(x)
    total = node.cast(node.emit(relax.op.sum(node.cast(x, "int64"), axes, keep)), "float64")
    count = node.scalar(int(np.prod([extents[axis] for axis in axes])), "float64")
    whole = node.emit(relax.op.trunc(node.emit(relax.op.divide(total, count))))
    return node.cast(whole, dtype)


def _product(node: Node, x: Any, axes: list[int], keep: bool) -> Any:
    return node.emit(relax.op.prod(x, axes, keep)) if axes else x


def _extreme(largest: bool) -> Reduce:
    def reduce(node: Node, x: Any, axes: list[int], keep: bool) -> Any:
        if not axes:
            return x
        make = relax.op.max if largest else relax.op.min
        if str(x.ty.dtype) != "bool":
            return node.emit(make(x, axes, keep))
        numbers = node.emit(relax.op.astype(x, "int8"))
        found = node.emit(make(numbers, axes, keep))
        return node.emit(relax.op.not_equal(found, node.scalar(0, "int8")))

    return reduce


def _absolute(node: Node, x: Any, axes: list[int], keep: bool) -> Any:
    return _sum(node, node.emit(relax.op.abs(x)), axes, keep)


def _squares(node: Node, x: Any, axes: list[int], keep: bool) -> Any:
    return _sum(node, node.emit(relax.op.multiply(x, x)), axes, keep)


def _length(node: Node, x: Any, axes: list[int], keep: bool) -> Any:
    dtype = str(x.ty.dtype)
    wide = dtype if dtype.startswith("float") else "float64"
    squares = _squares(node, node.cast(x, wide), axes, keep)
    return node.cast(node.emit(relax.op.sqrt(squares)), dtype)


def _log_sum(node: Node, x: Any, axes: list[int], keep: bool) -> Any:
    dtype = str(x.ty.dtype)
    wide = dtype if dtype.startswith("float") else "float64"
    total = _sum(node, node.cast(x, wide), axes, keep)
    return node.cast(node.emit(relax.op.log(total)), dtype)


REDUCTIONS: dict[str, Callable[[Node], Any]] = {
    "ReduceL1": _reduction(_absolute),
    "ReduceL2": _reduction(_length),
    "ReduceLogSum": _reduction(_log_sum),
    "ReduceMax": _reduction(_extreme(largest=True), wide=False),
    "ReduceMean": _reduction(_mean),
    "ReduceMin": _reduction(_extreme(largest=False), wide=False),
    "ReduceProd": _reduction(_product),
    "ReduceSum": _reduction(_sum),
    "ReduceSumSquare": _reduction(_squares),
}
