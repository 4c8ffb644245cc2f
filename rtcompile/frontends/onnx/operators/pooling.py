"""Pooling over windows: the largest value, the mean, a norm.

    y[n, c, i] = combine of x[n, c, i * stride + k * dilation - pad] for the k of the window

Places in front of a tensor and behind it count as nothing, or as 0 for a mean that includes them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tvm import relax, te, tirx

from rtcompile.frontends.onnx.operators.node import Node

__all__ = ["POOLING"]


@dataclass(frozen=True)
class _Window:
    """An axis: extents of input, window and result; stride, dilation, places in front."""

    size: int
    width: int
    count: int
    stride: int
    dilation: int
    before: int
    behind: int


def _windows(node: Node) -> list[_Window]:
    sizes = node.shape(0)[2:]
    widths = node.integers("kernel_shape")
    if widths is None or any(not isinstance(size, int) for size in sizes):
        node.refuse("its window or the extents of its input are not known")
    rank = len(sizes)
    strides = node.integers("strides") or [1] * rank
    dilations = node.integers("dilations") or [1] * rank
    pads = node.integers("pads") or [0] * 2 * rank
    mode = node.text("auto_pad", "NOTSET")
    up = bool(node.integer("ceil_mode", 0))
    found = []
    for at, (size, width, stride, dilation) in enumerate(
        zip(sizes, widths, strides, dilations, strict=True)
    ):
        reach = dilation * (width - 1) + 1
        before, behind = pads[at], pads[at + rank]
        if mode.startswith("SAME"):
            count = -(-size // stride)
            rest = max((count - 1) * stride + reach - size, 0)
            before = rest // 2 if mode == "SAME_UPPER" else -(-rest // 2)
            behind = rest - before
        else:
            if mode == "VALID":
                before = behind = 0
            whole = (size + before + behind - reach) / stride
            count = (math.ceil(whole) if up else math.floor(whole)) + 1
            if up and (count - 1) * stride >= size + before:
                count -= 1  # a window that starts behind the tensor is none
        found.append(_Window(size, width, count, stride, dilation, before, behind))
    return found


def _pooled(
    node: Node, x: Any, windows: Sequence[_Window], reducer: Any, neutral: Any, name: str
) -> Any:
    def compute(x: Any) -> Any:
        steps = [te.reduce_axis((0, w.width), f"k{at}") for at, w in enumerate(windows)]
        shape = [*x.shape[:2], *(tirx.IntImm("int64", w.count) for w in windows)]

        def at(n: Any, c: Any, *place: Any) -> Any:
            source, inside = [], []
            for window, own, step in zip(windows, place, steps, strict=True):
                index = own * window.stride + step * window.dilation - window.before
                source.append(index)
                if (
                    window.before
                    or (window.count - 1) * window.stride
                    + ((window.width - 1) * window.dilation)
                    - window.before
                    >= window.size
                ):
                    inside += [index >= 0, index < window.size]
            value = x[(n, c, *source)]
            if inside:
                condition = inside[0]
                for more in inside[1:]:
                    condition = tirx.And(condition, more)
                value = tirx.if_then_else(condition, value, neutral(str(x.dtype)))
            return reducer(value, axis=steps)

        return te.compute(shape, at, name=name)

    return node.block.emit_te(compute, x, primfunc_name_hint=name)


def _largest(dtype: str) -> Any:
    def larger(a: Any, b: Any) -> Any:
        keeps = a > b
        return tirx.Select(
            tirx.Or(keeps, tirx.isnan(a)) if dtype.startswith("float") else keeps, a, b
        )

    return te.comm_reducer(larger, _lowest, name="largest")


def _lowest(dtype: str) -> Any:
    return tirx.const(-np.inf, dtype) if dtype.startswith("float") else tirx.min_value(dtype)


def _zero(dtype: str) -> Any:
    return tirx.const(0, dtype)


def _max_pool(node: Node) -> Any:
    if len([name for name in node.outputs if name]) > 1:
        node.refuse("the indices of the largest values are not supported: drop that output")
    dtype = node.dtype(0)
    return _pooled(node, node.tensor(0), _windows(node), _largest(dtype), _lowest, "max_pool")


def _average_pool(node: Node) -> Any:
    windows = _windows(node)
    total = _pooled(node, node.tensor(0), windows, te.sum, _zero, "sum_pool")
    padded = bool(node.integer("count_include_pad", 0))
    counts: Any = np.ones((), np.float64)
    for window in windows:
        starts = np.arange(window.count)[:, None] * window.stride - window.before
        places = starts + np.arange(window.width) * window.dilation
        low = -window.before if padded else 0
        high = window.size + (window.behind if padded else 0)
        counts = np.multiply.outer(counts, ((places >= low) & (places < high)).sum(axis=1))
    return relax.op.divide(total, node.scalar(counts, node.dtype(0)))


def _norm_pool(node: Node) -> Any:
    """(sum of |x| ** p) ** (1 / p)."""
    p, dtype = node.number("p", 2), node.dtype(0)
    size = node.emit(relax.op.abs(node.tensor(0)))
    power = node.emit(relax.op.power(size, node.scalar(p, dtype)))
    total = _pooled(node, power, _windows(node), te.sum, _zero, "sum_pool")
    return relax.op.power(node.emit(total), node.scalar(1 / p, dtype))


def _global(make: Callable[[Any, list[int]], Any]) -> Callable[[Node], Any]:
    def convert(node: Node) -> Any:
        return make(node.tensor(0), list(range(2, len(node.shape(0)))))

    return convert


def _global_norm(node: Node) -> Any:
    p, dtype = node.number("p", 2), node.dtype(0)
    axes = list(range(2, len(node.shape(0))))
    size = node.emit(relax.op.abs(node.tensor(0)))
    power = node.emit(relax.op.power(size, node.scalar(p, dtype)))
    return relax.op.power(node.emit(relax.op.sum(power, axes, True)), node.scalar(1 / p, dtype))


POOLING: dict[str, Callable[[Node], Any]] = {
    "AveragePool": _average_pool,
    "GlobalAveragePool": _global(lambda x, axes: relax.op.mean(x, axes, True)),
    "GlobalLpPool": _global_norm,
    "GlobalMaxPool": _global(lambda x, axes: relax.op.max(x, axes, True)),
    "LpPool": _norm_pool,
    "MaxPool": _max_pool,
}
