"""Operators that read by indices: an index below zero counts from the end of its axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from tvm import relax

from rtcompile.errors import ModelError
from rtcompile.frontends.onnx.operators.node import Node
from rtcompile.frontends.onnx.operators.values import Known
from rtcompile.relay_passes.dialect.checked_values import CHECK_INDEX

__all__ = ["INDEXING", "checked_index", "counted_from_end"]


def _fixed(node: Node, axis: int) -> int:
    """The extent of an axis that is read by indices."""
    extent = node.shape(0)[axis]
    if not isinstance(extent, int):
        node.refuse("it reads other rows of a request by their number")
    return extent


def counted_from_end(node: Node, indices: Any, extents: Any) -> Any:
    """where(i < 0, i + extent, i); `extents` a number, or an array of the last axis."""
    dtype = str(indices.ty.dtype)
    if dtype.startswith("uint"):
        return indices
    below = node.emit(relax.op.less(indices, node.scalar(0, dtype)))
    from_end = node.emit(relax.op.add(indices, Known(np.asarray(extents, dtype)).constant))
    return node.emit(relax.op.where(below, from_end, indices))


def checked_index(node: Node, indices: Any, extents: Sequence[int], wraps: bool = True) -> Any:
    """int64 indices, each in [0, extent) of its place of the last axis; else the request's error.

    `extents`: one for all, or one for each place. `wraps`: negative ones count from the end.
    For what becomes TIR at once: the indices of operators of Relax are found by a pass.
    """
    extent = "x".join(map(str, extents if len(set(extents)) > 1 else extents[:1]))
    symbol = f"{CHECK_INDEX}.{extent}.{'wrap' if wraps else 'plain'}.{node.operator}"
    ty = relax.TensorType(indices.ty.shape, "int64")
    return node.emit(relax.op.call_dps_packed(symbol, relax.Tuple([indices]), out_ty=ty))


def _gather(node: Node) -> Any:
    axis = node.axis("axis", 0)
    extent = _fixed(node, axis)
    known = node.known(1)
    if known is None:
        return relax.op.take(node.tensor(0), counted_from_end(node, node.tensor(1), extent), axis)
    outside = known[(known < -extent) | (known >= extent)]
    if outside.size:
        raise ModelError(f"a Gather takes element {outside[0]} of an axis that has {extent}")
    indices = np.where(known < 0, known + extent, known).astype(np.int64)
    return relax.op.take(node.tensor(0), Known(indices).constant, axis)


def _gather_elements(node: Node) -> Any:
    axis = node.axis("axis", 0)
    extent = _fixed(node, axis)
    for place, (ours, theirs) in enumerate(zip(node.shape(0), node.shape(1), strict=True)):
        if place != axis and isinstance(ours, int) != isinstance(theirs, int):
            node.refuse("a row reads a table by its own number in the request")
    return relax.op.gather_elements(
        node.tensor(0), counted_from_end(node, node.tensor(1), extent), axis
    )


def _gather_nd(node: Node) -> Any:
    batch = node.integer("batch_dims", 0)
    depth = node.shape(1)[-1]
    if not isinstance(depth, int):
        node.refuse("the count of its indices is dynamic")
    extents = [_fixed(node, batch + place) for place in range(depth)]
    indices = counted_from_end(node, node.tensor(1), extents)
    return relax.op.gather_nd(node.tensor(0), indices, batch)


INDEXING: dict[str, Callable[[Node], Any]] = {
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "GatherND": _gather_nd,
}
