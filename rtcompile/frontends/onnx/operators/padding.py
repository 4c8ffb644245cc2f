"""Pad: values around a tensor, by parts of it or by one value; negative widths cut it.

constant   [c c a b d c c]        edge      [a a a b d d d]
reflect    [d b a b d b a]        wrap      [b d a b d a b]
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from tvm import relax

from rtcompile.frontends.onnx.operators.node import Node
from rtcompile.frontends.onnx.operators.values import Known

__all__ = ["PADDING", "padded"]

_MODES = ("constant", "edge", "reflect", "wrap")


def _pad(node: Node) -> Any:
    rank = len(node.shape(0))
    pads = node.parameter("pads" if "pads" in node.attributes else "paddings", 1)
    if pads is None:
        node.refuse("its pads are missing")
    axes = node.parameter("axes", 3) or list(range(len(pads) // 2))
    axes = [node.counted(axis, rank) for axis in axes]
    mode = node.text("mode", "constant")
    value = None
    if "value" in node.attributes:
        value = node.scalar(node.number("value", 0.0), node.dtype(0))
    elif node.has(2):
        value = node.reshape(node.tensor(2), [])
    widths = {axis: (pads[at], pads[at + len(axes)]) for at, axis in enumerate(axes)}
    return padded(node, node.tensor(0), widths, mode, value)


def padded(
    node: Node, x: Any, widths: dict[int, tuple[int, int]], mode: str, value: Any = None
) -> Any:
    """x with so many values before and behind each axis; of `value`, or 0, in the constant mode."""
    if mode not in _MODES:
        node.refuse(f"the mode {mode!r} is not known")
    dtype = str(x.ty.dtype)
    for axis, (before, behind) in widths.items():
        if not before and not behind:
            continue
        extents = list(node.extents_of(x))
        extent = extents[axis]
        if not isinstance(extent, int):
            node.refuse("it adds rows to a request")
        if mode != "constant" and before >= 0 and behind >= 0:
            numpy_mode: Any = mode
            places = np.pad(np.arange(extent, dtype=np.int64), (before, behind), numpy_mode)
            x = node.emit(relax.op.take(x, Known(places).constant, axis))
            continue
        if before < 0 or behind < 0:
            first, last = max(-before, 0), extent - max(-behind, 0)
            if first >= last:
                node.refuse("nothing is left of it")
            x = node.emit(relax.op.strided_slice(x, [axis], [first], [last]))
        filled = node.scalar(0, dtype) if value is None else value
        parts = [
            [_block(node, filled, extents, axis, before)] if before > 0 else [],
            [x],
            [_block(node, filled, extents, axis, behind)] if behind > 0 else [],
        ]
        flat = [part for some in parts for part in some]
        x = node.emit(relax.op.concat(flat, axis)) if len(flat) > 1 else x
    return x


def _block(node: Node, value: Any, extents: list[Any], axis: int, width: int) -> Any:
    shape = [*extents[:axis], width, *extents[axis + 1 :]]
    return node.emit(relax.op.broadcast_to(value, relax.ShapeExpr(shape)))


PADDING: dict[str, Callable[[Node], Any]] = {"Pad": _pad}
