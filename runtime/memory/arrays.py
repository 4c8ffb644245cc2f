"""Aligned arrays: what kernels may be handed.

Kernels load and store whole vectors and assume 64-byte alignment; an array of a user is used as it
is when it already is aligned, contiguous and of the right dtype, and copied otherwise.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rtcompile.runtime.errors import ArtifactError, RequestError
from rtcompile.runtime.ffi import tvm_ffi
from rtcompile.runtime.memory.exact_conversion import array_of, check_convertible, copy_exactly

__all__ = [
    "ALIGNMENT",
    "DTYPE_NAMES",
    "align",
    "aligned_block",
    "aligned_empty",
    "aligned_rows",
    "as_tensor",
    "know_bfloat16",
]

ALIGNMENT = 64

_ITEM_BYTES = {
    "bool": 1,
    **{f"{sign}int{bits}": bits // 8 for sign in ("", "u") for bits in (8, 16, 32, 64)},
    **{"float16": 2, "bfloat16": 2, "float32": 4, "float64": 8},
}
DTYPE_NAMES = tuple(_ITEM_BYTES)


def know_bfloat16() -> None:
    """Have numpy know the dtype "bfloat16", which a package of its own defines.

    Raises ArtifactError where that is not installed.
    """
    try:
        importlib.import_module("ml_dtypes")
    except ImportError as error:
        raise ArtifactError(
            "the model has bfloat16 inputs or outputs, which numpy knows by the package ml_dtypes: "
            "pip install ml_dtypes"
        ) from error


def as_tensor(array: npt.NDArray[Any]) -> Any:
    """An array for a compiled function; bfloat16 as its bits, which DLPack of numpy lacks."""
    return tvm_ffi.from_dlpack(array.view(np.uint16) if array.dtype.kind == "V" else array)


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


def aligned_rows(
    value: object, name: str, dtype: str, shape: tuple[int, ...], shared: bool = False
) -> npt.NDArray[Any]:
    """`value` as an aligned array [rows, *shape] of `dtype`; RequestError if it cannot be.

    `shared`: it has no axis of rows, as all share it, and is made one row.
    """
    array = array_of(value, name)
    array = array[np.newaxis] if shared else array
    wanted_dtype = np.dtype(dtype)
    same = array.dtype == wanted_dtype
    if not same:
        check_convertible(array.dtype, name, wanted_dtype)
    if array.ndim != len(shape) + 1 or array.shape[1:] != shape:
        given = array.shape[1:] if shared else array.shape
        wanted = ", ".join(map(str, shape if shared else ("rows", *shape)))
        raise RequestError(f"input {name!r}: shape {given} is not ({wanted})")
    exact = same and array.flags.c_contiguous and array.flags.writeable
    if exact and array.__array_interface__["data"][0] % ALIGNMENT == 0:
        return array
    copy = aligned_empty(array.size, dtype).reshape(array.shape)
    copy_exactly(array, name, copy)
    return copy
