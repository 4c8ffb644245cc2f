"""Aligned arrays: what kernels may be handed.

Kernels load and store whole vectors and assume 64-byte alignment; an array of a user is used as it
is when it already is aligned, contiguous and of the right dtype, and copied otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from runtime.errors import RequestError

__all__ = ["ALIGNMENT", "align", "aligned_block", "aligned_empty", "aligned_rows"]

ALIGNMENT = 64

_DTYPES = {
    name: np.dtype(name)
    for name in ("bool", "int8", "uint8", "int32", "int64", "float16", "float32", "float64")
}
_ITEM_BYTES = {name: dtype.itemsize for name, dtype in _DTYPES.items()}


def align(size: int) -> int:
    """`size` in bytes, rounded up to the next aligned offset."""
    return -(-size // ALIGNMENT) * ALIGNMENT


def aligned_block(
    sizes: Sequence[tuple[int, str]],
) -> tuple[list[npt.NDArray[Any]], list[int]]:
    """Uninitialised flat arrays of (count, dtype) each, in one allocation, and their addresses."""
    ends, at = [], 0
    for count, dtype in sizes:
        begin = at
        at = align(begin + count * _ITEM_BYTES[dtype])
        ends.append((begin, begin + count * _ITEM_BYTES[dtype], dtype))
    block = aligned_empty(at, "uint8")
    base = block.__array_interface__["data"][0]
    arrays = [block[begin:end].view(dtype) for begin, end, dtype in ends]
    return arrays, [base + begin for begin, _, _ in ends]


def aligned_empty(count: int, dtype: str) -> npt.NDArray[Any]:
    """An uninitialised flat array of `count` values on a 64-byte boundary.

    No other memory is in its last cache line either: what another thread writes there would have
    the line move between caches.
    """
    size = count * _ITEM_BYTES[dtype]
    raw = np.empty(align(size) + ALIGNMENT, np.uint8)
    start = -raw.__array_interface__["data"][0] % ALIGNMENT
    return raw[start : start + size].view(dtype)


def aligned_rows(value: object, name: str, dtype: str, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """`value` as an aligned array [rows, *shape] of `dtype`; RequestError if it cannot be."""
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise RequestError(f"input {name!r}: not a rectangular array: {error}") from error
    same = array.dtype == _DTYPES[dtype]
    if not same and (array.dtype.hasobject or not np.can_cast(array.dtype, dtype, "same_kind")):
        raise RequestError(
            f"input {name!r}: dtype {array.dtype} cannot be converted to {dtype} without loss"
        )
    if array.ndim != len(shape) + 1 or array.shape[1:] != shape:
        wanted = ", ".join(["rows", *map(str, shape)])
        raise RequestError(f"input {name!r}: shape {array.shape} is not ({wanted})")
    exact = same and array.flags.c_contiguous and array.flags.writeable
    if exact and array.__array_interface__["data"][0] % ALIGNMENT == 0:
        return array
    copy = aligned_empty(array.size, dtype).reshape(array.shape)
    if same:
        copy[...] = array
        return copy
    with np.errstate(over="ignore", invalid="ignore"):
        np.copyto(copy, array, casting="same_kind")
    return copy
