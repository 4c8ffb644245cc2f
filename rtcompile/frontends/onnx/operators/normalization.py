"""Operators that scale by statistics of a row."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

from tvm import relax

from rtcompile.frontends.onnx.operators.node import Node
from rtcompile.frontends.onnx.operators.shapes import flattened_at

__all__ = ["NORMALIZATION"]


def _softmax(make: Callable[..., Any]) -> Callable[[Node], Any]:
    """Along an axis; before opset 13, along all from that axis on."""

    def convert(node: Node) -> Any:
        extents, dtype = node.shape(0), node.dtype(0)
        wide = "float32" if dtype in ("float16", "bfloat16") else dtype
        if node.opset >= 13:
            axis = node.counted(node.integer("axis", -1), len(extents))
            x = node.cast(node.tensor(0), wide)
            return node.cast(node.emit(make(x, axis)), dtype)
        axis = node.counted(node.integer("axis", 1), len(extents))
        flat = node.cast(flattened_at(node, axis), wide)
        return node.reshape(node.cast(node.emit(make(flat, 1)), dtype), extents)

    return convert


def _lp(node: Node) -> Any:
    """x / norm(x) along an axis; 0 where the norm is 0."""
    p, dtype = node.integer("p", 2), node.dtype(0)
    axis = node.counted(node.integer("axis", -1), len(node.shape(0)))
    x = node.tensor(0)
    if p == 2:
        total = relax.op.sum(node.emit(relax.op.multiply(x, x)), [axis], True)
        norm = node.emit(relax.op.sqrt(node.emit(total)))
    else:
        norm = node.emit(relax.op.sum(node.emit(relax.op.abs(x)), [axis], True))
    zero = node.scalar(0, dtype)
    empty = node.emit(relax.op.equal(norm, zero))
    divisor = node.emit(relax.op.where(empty, node.scalar(1, dtype), norm))
    found = node.emit(relax.op.divide(x, divisor))
    return relax.op.where(empty, zero, found)


def _local_response(node: Node) -> Any:
    """x / (bias + alpha / size * s) ** beta; s is the sum of squares of `size` channels around."""
    x, dtype, extents = node.tensor(0), node.dtype(0), node.shape(0)
    size, rank = node.integer("size", 1), len(node.shape(0))
    before = (size - 1) // 2
    widths = [0, 0, before, size - 1 - before, *[0, 0] * (rank - 2)]
    padded = node.emit(relax.op.nn.pad(node.emit(relax.op.multiply(x, x)), widths))
    parts = [
        node.emit(relax.op.strided_slice(padded, [1], [first], [first + extents[1]]))
        for first in range(size)
    ]
    total = reduce(lambda a, b: node.emit(relax.op.add(a, b)), parts)
    scale = node.scalar(node.number("alpha", 1e-4) / size, dtype)
    total = node.emit(relax.op.multiply(total, scale))
    total = node.emit(relax.op.add(total, node.scalar(node.number("bias", 1.0), dtype)))
    power = node.emit(relax.op.power(total, node.scalar(node.number("beta", 0.75), dtype)))
    return relax.op.divide(x, power)


NORMALIZATION: dict[str, Callable[[Node], Any]] = {
    "LogSoftmax": _softmax(relax.op.nn.log_softmax),
    "LRN": _local_response,
    "LpNormalization": _lp,
    "Softmax": _softmax(relax.op.nn.softmax),
}
