"""A network's inputs or outputs as its function takes them: the address and bytes a row of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rtcompile.runtime.abi.layout import Words
from rtcompile.runtime.abi.stage import PortEntry, PortTable
from rtcompile.runtime.ffi import tvm_ffi
from rtcompile.runtime.memory.arrays import aligned_empty

__all__ = ["PortAddresses", "address"]


def address(array: Any) -> int:
    """Where an array lies."""
    return int(array.__array_interface__["data"][0])


class PortAddresses:
    """A PortTable. Whoever sets an address keeps the memory alive until the call returns.

    `words` are the table's, as Python's own integers; it lies at `pointer`.
    """

    def __init__(self, row_bytes: Sequence[int]) -> None:
        words = aligned_empty(max(PortEntry.WORDS * len(row_bytes), 1), "int64")
        ports = words[PortTable.PORTS.slice(len(row_bytes))].reshape(-1, PortEntry.WORDS)
        ports[:, PortEntry.ROW_BYTES] = row_bytes
        self.words: Words = words.data
        self.addresses = ports[:, PortEntry.ADDRESS]
        self.tensor = tvm_ffi.from_dlpack(words)
        self.pointer = address(words)

    def set(self, arrays: Sequence[Any]) -> None:
        """Enter the addresses of `arrays`, one an input."""
        self.addresses[:] = [address(array) for array in arrays]
