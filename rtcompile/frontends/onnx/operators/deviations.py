"""Operators that scale by the mean and the variance of a row.

    d = x - mean(x);   y = d / sqrt(mean(d * d) + epsilon)

ONNX writes them out with a variance of mean(x * x) - mean(x) ** 2, of which float32 keeps nothing
where a mean is large beside the deviations from it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from onnx import TensorProto
from tvm import relax

from rtcompile.frontends.onnx.operators.node import Node, element_type

__all__ = ["DEVIATIONS", "layer_normalization"]


def _parts(node: Node, x: Any, axes: Sequence[int]) -> tuple[Any, Any, Any]:
    """(mean, x - mean, variance)."""
    mean = node.emit(relax.op.mean(x, axes, True))
    apart = node.emit(relax.op.subtract(x, mean))
    squares = node.emit(relax.op.multiply(apart, apart))
    return mean, apart, node.emit(relax.op.mean(squares, axes, True))


def _deviation(node: Node, variance: Any, dtype: str) -> Any:
    """sqrt(variance + epsilon)."""
    epsilon = node.scalar(node.number("epsilon", 1e-5), dtype)
    return node.emit(relax.op.sqrt(node.emit(relax.op.add(variance, epsilon))))


def _stash(node: Node) -> str:
    """The dtype that statistics have."""
    return element_type(node.integer("stash_type", TensorProto.FLOAT))


def _mean_variance(node: Node) -> Any:
    """(x - mean) / (deviation + 1e-9)."""
    axes = [node.counted(a, len(node.shape(0))) for a in node.integers("axes") or (0, 2, 3)]
    _, apart, variance = _parts(node, node.tensor(0), axes)
    deviation = node.emit(relax.op.sqrt(variance))
    divisor = node.emit(relax.op.add(deviation, node.scalar(1e-9, node.dtype(0))))
    return relax.op.divide(apart, divisor)


def _group(node: Node) -> Any:
    """By groups of channels; scale and bias of a channel."""
    extents, dtype, groups = node.shape(0), node.dtype(0), node.integer("num_groups", 1)
    rows, channels, *places = extents
    if not all(isinstance(extent, int) for extent in extents[1:]) or channels % groups:
        node.refuse("its channels are no multiple of its groups, or are not known")
    size, wide = math.prod(places), _stash(node)
    grouped = node.reshape(node.tensor(0), [rows, groups, channels // groups * size])
    _, apart, variance = _parts(node, node.cast(grouped, wide), [2])
    found = node.emit(relax.op.divide(apart, _deviation(node, variance, wide)))
    by_channel = node.reshape(node.cast(found, dtype), [rows, channels, size])
    scale, bias = (node.reshape(node.tensor(place), [1, channels, 1]) for place in (1, 2))
    scaled = node.emit(relax.op.multiply(by_channel, scale))
    return node.reshape(node.emit(relax.op.add(scaled, bias)), extents)


def layer_normalization(node: Node) -> list[Any]:
    """y, the mean, and one by the deviation: of a node that has more than one output."""
    rank, dtype, wide = len(node.shape(0)), node.dtype(0), _stash(node)
    axes = list(range(node.counted(node.integer("axis", -1), rank), rank))
    mean, apart, variance = _parts(node, node.cast(node.tensor(0), wide), axes)
    deviation = _deviation(node, variance, wide)
    y = node.cast(node.emit(relax.op.divide(apart, deviation)), dtype)
    y = node.emit(relax.op.multiply(y, node.tensor(1)))
    if node.has(2):
        y = node.emit(relax.op.add(y, node.tensor(2)))
    inverse = node.emit(relax.op.divide(node.scalar(1, wide), deviation))
    return [y, mean, inverse][: len(node.outputs)]


DEVIATIONS: dict[str, Callable[[Node], Any]] = {
    "GroupNormalization": _group,
    "MeanVarianceNormalization": _mean_variance,
}
