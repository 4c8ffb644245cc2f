"""A network's inputs as its function takes them: the address of each and its bytes a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from runtime.arrays import aligned_empty
from runtime.ffi import tvm_ffi

__all__ = ["InputTable", "address"]


def address(array: Any) -> int:
    """Where an array lies."""
    return int(array.__array_interface__["data"][0])


class InputTable:
    """int64 [inputs, 2]. Whoever sets an address keeps the memory alive until the call returns.

    `words` are the table's, as Python's own integers; it lies at `pointer`.
    """

    def __init__(self, row_bytes: Sequence[int]) -> None:
        words = aligned_empty(max(2 * len(row_bytes), 1), "int64")
        words[1 : 2 * len(row_bytes) : 2] = row_bytes
        self.words = words.data
        self.addresses = words[0 : 2 * len(row_bytes) : 2]
        self.tensor = tvm_ffi.from_dlpack(words)
        self.pointer = address(words)

    def set(self, arrays: Sequence[Any]) -> None:
        """Enter the addresses of `arrays`, one an input."""
        self.addresses[:] = [address(array) for array in arrays]
