"""Keep what a generic kernel reads and writes inside of its buffers, whatever the data say.

    A[B[i], j]   ->   A[max(min(B[i], rows - 1), 0), j]

The last line of defence, for kernels that come as TIR: indices of the graph's operators are checked
before (`relay_passes/exact/check_indices.py`), with an error for the request, and B that was
checked is read as it is.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import tvm_ffi
from tvm import tirx
from tvm.ir.expr import TensorLoad

__all__ = ["with_bounded_accesses"]


def with_bounded_accesses(function: Any, checked: Collection[int] = ()) -> Any:
    """A PrimFunc whose indices that are read from buffers stay in bounds.

    `checked`: the parameters that hold indices which are in bounds already.
    """
    trusted = [function.params[place] for place in checked]

    def load(node: Any) -> Any:
        indices = _bounded(node.source, node.indices, trusted)
        return node if indices is None else tirx.BufferLoad(node.source, indices)

    def store(node: Any) -> Any:
        indices = _bounded(node.buffer, node.indices, trusted)
        return node if indices is None else tirx.BufferStore(node.buffer, node.value, indices)

    return tvm_ffi.structural_map(function, [(TensorLoad, load), (tirx.BufferStore, store)])


def _bounded(buffer: Any, indices: Any, trusted: list[Any]) -> list[Any] | None:
    """The indices with those bounded that are read from a buffer; None where none is."""
    wild = [_is_wild(index, trusted) for index in indices]
    if not any(wild):
        return None
    return [
        tirx.max(tirx.min(index, extent - 1), tirx.const(0, str(index.ty))) if free else index
        for index, extent, free in zip(indices, buffer.shape, wild, strict=True)
    ]


def _is_wild(index: Any, trusted: list[Any]) -> bool:
    while isinstance(index, tirx.Cast):
        index = index.value
    if isinstance(index, TensorLoad) and any(index.source.same_as(one) for one in trusted):
        return False
    found: list[Any] = []
    tvm_ffi.structural_walk(index, (TensorLoad, found.append), order="post")
    return bool(found)
