"""The constants of an artifact: one block of bytes, 64-byte aligned, memory-mapped when loaded.

Weights that several kernels read lie there once. Embedding tables are constants with a name: the
runtime finds them by it, to update rows in place.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rtcompile.codegen.program import Pointer, Space, align
from runtime.artifact import PAGE

__all__ = ["ConstantStore", "Table", "array_digest"]


def array_digest(array: npt.NDArray[Any]) -> bytes:
    """A key for the values of an array."""
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).digest()


@dataclass(frozen=True)
class Table:
    """An embedding table of `rows` x `dimension` float32 at `offset` bytes."""

    name: str
    offset: int
    rows: int
    dimension: int


class ConstantStore:
    """Collects constants while a module is lowered. Equal bytes share a place."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._places: dict[bytes, int] = {}
        self._size = 0
        self.tables: list[Table] = []

    def add(self, array: npt.NDArray[Any]) -> Pointer:
        """Place an array and return where it lies."""
        data = np.ascontiguousarray(array).tobytes()
        if data not in self._places:
            self._places[data] = self._append(data)
        return Pointer(Space.CONSTANTS, self._places[data])

    def add_table(self, name: str, table: npt.NDArray[np.float32]) -> Pointer:
        """Place an embedding table [rows, dimension]. The same name is the same table."""
        for known in self.tables:
            if known.name == name:
                return Pointer(Space.CONSTANTS, known.offset)
        offset = self._append(np.ascontiguousarray(table, np.float32).tobytes())
        self.tables.append(Table(name, offset, table.shape[0], table.shape[1]))
        return Pointer(Space.CONSTANTS, offset)

    def _append(self, data: bytes) -> int:
        offset = self._size
        # One vector behind each constant, so that a kernel may read past a short last one.
        padded = align(max(len(data), 1))
        self._parts.append(data + bytes(padded - len(data)))
        self._size += padded
        return offset

    def to_bytes(self) -> bytes:
        """The whole block, whole pages long, so that it can be mapped from a file."""
        data = b"".join(self._parts)
        return data + bytes(max(-len(data) % PAGE, 0 if data else PAGE))
