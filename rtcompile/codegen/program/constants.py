"""The constants of an artifact: one block of bytes, 64-byte aligned, memory-mapped when loaded.

Weights that several kernels read lie there once. Embedding tables are constants with a name: the
runtime finds them by it, to update rows in place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rtcompile.codegen.program.pack_table import pack_table, unpack_table
from rtcompile.codegen.program.program import Pointer, Space, align
from rtcompile.codegen.program.table_dtypes import TableDtypes
from rtcompile.codegen.program.table_format import TableFormat
from rtcompile.errors import EmbeddingsError
from rtcompile.files.pieces import Pieces
from rtcompile.runtime.artifact import PAGE

__all__ = ["ConstantStore", "Table"]


@dataclass(frozen=True)
class Table:
    """An embedding table of `rows` rows of `format` from `offset` on, its header first.

    `note`: why it has not the dtype that tables have by default, or "".
    """

    name: str
    offset: int
    rows: int
    format: TableFormat
    note: str = ""

    @property
    def at(self) -> Pointer:
        """Where it lies."""
        return Pointer(Space.CONSTANTS, self.offset)

    @property
    def bytes(self) -> int:
        """Size, header included."""
        return self.format.header_bytes + self.rows * self.format.row_bytes


class ConstantStore:
    """Collects constants while a module is lowered. Equal bytes share a place.

    `dtypes` decides how each embedding table is stored.
    """

    def __init__(self, dtypes: TableDtypes | None = None) -> None:
        self._dtypes = dtypes or TableDtypes()
        self._originals: dict[str, npt.NDArray[np.float32]] = {}
        self._packed: dict[str, npt.NDArray[np.uint8]] = {}
        self._unnamed: set[str] = set()
        self._parts: list[bytes | npt.NDArray[np.uint8]] = []
        self._places: dict[bytes, int] = {}
        self._size = 0
        self.tables: list[Table] = []

    def add(self, array: npt.NDArray[Any]) -> Pointer:
        """Place an array and return where it lies."""
        data = np.ascontiguousarray(array).tobytes()
        if data not in self._places:
            self._places[data] = self._append(data)
        return Pointer(Space.CONSTANTS, self._places[data])

    def add_table(self, name: str | None, table: npt.NDArray[np.float32]) -> Table:
        """Place an embedding table [rows, dimension], once for all that read it.

        `name` is None for one that is no table of the model; it gets a name. EmbeddingsError where
        another table has this name, or a value has no place in the table's dtype.
        """
        known = self._known(name, table)
        if known is not None:
            return known
        rows, dimension = table.shape
        dtype, note = self._dtypes.choose(name, rows, dimension)
        label = f"table_{len(self.tables)}" if name is None else name
        stored = TableFormat(dtype, dimension)
        if name is None:
            self._unnamed.add(label)
        self._packed[label] = pack_table(label, table, stored)
        self._originals[label] = table
        offset = self._append(self._packed[label])
        self.tables.append(Table(label, offset, rows, stored, note))
        return self.tables[-1]

    def _known(self, name: str | None, table: npt.NDArray[np.float32]) -> Table | None:
        for known in self.tables:
            matches = known.name in self._unnamed if name is None else known.name == name
            if not matches:
                continue
            if np.array_equal(self._originals[known.name], table, equal_nan=True):
                return known
            if name is not None:
                raise EmbeddingsError(
                    f"two tables that differ are called {name!r}: one of the graph and one of the "
                    "embeddings; rename one"
                )
        return None

    def stored_values(self) -> dict[str, npt.NDArray[np.float32]]:
        """What kernels read of each table that is not in fp32, by its name."""
        return {
            table.name: unpack_table(self._packed[table.name], table.format)
            for table in self.tables
            if table.format.dtype != "fp32"
        }

    def _append(self, data: bytes | npt.NDArray[np.uint8]) -> int:
        offset = self._size
        # One vector behind each constant, so that a kernel may read past a short last one.
        padded = align(max(len(data), 1))
        self._parts += [data, bytes(padded - len(data))]
        self._size += padded
        return offset

    def to_pieces(self) -> Pieces:
        """The whole block, whole pages long, so that it can be mapped from a file.

        What is added afterwards comes behind it: a later block begins with all of this one.
        """
        fill = -self._size % PAGE if self._size else PAGE
        self._parts.append(bytes(fill))
        self._size += fill
        return Pieces(self._parts)

    def to_bytes(self) -> bytes:
        """`to_pieces`, joined."""
        return self.to_pieces().joined()
