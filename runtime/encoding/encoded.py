"""Encoded columns: what `encode.py` makes of raw ones, and feature kernels read.

`abi/encoded.py` says how they lie.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rtcompile.runtime.abi.encoded import ColumnDescriptor, Mode, Split
from rtcompile.runtime.encoding.column_spec import ColumnSpec

__all__ = ["ColumnPart", "Encoded"]


@dataclass(frozen=True)
class ColumnPart:
    """One column's arrays, as `abi/encoded.py` has them; None for those it has not."""

    rows: npt.NDArray[np.int64] | None
    values: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64] | None
    text: npt.NDArray[np.uint8]
    numbers: npt.NDArray[np.float64]
    split: int

    def row_sizes(self, with_text: bool) -> npt.NDArray[np.int64]:
        """[rows]: elements and values of each, and bytes of text if they count."""
        edges = self.values if self.rows is None else self.values[self.rows]
        sizes = np.diff(edges) + (1 if self.rows is None else np.diff(self.rows))
        if self.offsets is None or not with_text:
            return sizes
        return sizes + np.diff(self.offsets[edges])


@dataclass(slots=True)
class Encoded:
    """The columns of `rows` rows, as the stages take them.

    `columns`, int64, has the words of a ColumnDescriptor each, which points into `memory`. `bound`
    is at least the number of values that any column has, once it is split; `shared` the same of the
    columns that have one row for all, in all.
    """

    rows: int
    columns: npt.NDArray[np.int64]
    bound: int
    shared: int
    memory: object

    def part(self, index: int, spec: ColumnSpec) -> ColumnPart:
        """The arrays of one column, before any kernel ran."""
        words = self.columns.reshape(-1, ColumnDescriptor.WORDS)[index].tolist()
        count = 1 if words[ColumnDescriptor.MODE] == Mode.ONE else self.rows
        rows = None
        if spec.delimiter is not None:
            rows = self._array(words[ColumnDescriptor.ROWS], count + 1, "int64")
            count = int(rows[-1])
        values = self._array(words[ColumnDescriptor.VALUES], count + 1, "int64")
        count = int(values[-1])
        numbers = np.empty(0)
        if spec.has_numbers:
            numbers = self._array(words[ColumnDescriptor.NUMBERS], count, "float64")
        if not spec.is_text:
            none = np.empty(0, np.uint8)
            return ColumnPart(rows, values, None, none, numbers, words[ColumnDescriptor.SPLIT])
        offsets = self._array(words[ColumnDescriptor.OFFSETS], count + 1, "int64")
        text = self._array(
            words[ColumnDescriptor.TEXT] + int(offsets[0]), int(offsets[-1] - offsets[0])
        )
        return ColumnPart(rows, values, offsets, text, numbers, words[ColumnDescriptor.SPLIT])

    def row_bounds(self, index: int, spec: ColumnSpec) -> npt.NDArray[np.int64]:
        """[rows]: at least the elements, and the values once split, of each row of a column."""
        part = self.part(index, spec)
        bounds = part.row_sizes(with_text=part.split == Split.TEXT)
        return bounds if len(bounds) == self.rows else np.repeat(bounds, self.rows)

    def _array(self, address: int, count: int, dtype: str = "uint8") -> npt.NDArray[Any]:
        """An array that the memory holds."""
        if not count:
            return np.empty(0, dtype)
        held = (ctypes.c_char * (count * np.dtype(dtype).itemsize)).from_address(address)
        held.memory = self.memory  # type: ignore[attr-defined]
        found: npt.NDArray[Any] = np.frombuffer(memoryview(held), dtype)
        return found
