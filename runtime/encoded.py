"""Encoded columns: what `encode.py` makes of raw ones, and feature kernels read.

A descriptor is COLUMN_WORDS int64 (see Word), most of them addresses:

    rows      int64 [rows + 1]     first element of each row; sequence columns only
    values    int64 [entries + 1]  first value of each entry: a row, or a sequence's element
    offsets   int64 [values + 1]   first byte of each value in the text; text columns only
    text      uint8                the bytes of all values, and PADDING behind them
    numbers   float64 [values]     the values of a number column, the weights of a weighted one

Addresses, not positions, so that columns of a request, of the item table and of a batch can stand
in one list, and so that columns can share an array: those that have one value an entry share their
`values`. MODE says which row of the column belongs to row i of the stage (see Mode).

A value of a text column that came as one string is still to be split by the kernel (SPLIT is 1);
one that came in a list is taken as it is. What is rare is brought into that form while encoding:
separators of several bytes, prefixes, weights, and columns that mix strings with lists.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from runtime.column_spec import ColumnSpec

__all__ = ["COLUMN_WORDS", "PADDING", "ColumnPart", "Encoded", "Mode", "Split", "Word"]

COLUMN_WORDS = 8
PADDING = 16


class Word:
    """Places in a column's descriptor. PLACES is the address of int64 [rows], or of a function."""

    ROWS = 0
    VALUES = 1
    OFFSETS = 2
    TEXT = 3
    NUMBERS = 4
    SPLIT = 5
    MODE = 6
    PLACES = 7


class Split:
    """How the values of a text column are meant."""

    LIST = 0  # each as it is
    TEXT = 1  # each is still to be split
    PAIRS = 2  # keys and values in turn


class Mode:
    """Which row of a column belongs to row i of the stage."""

    ROWS = 0  # row i
    ONE = 1  # row 0: the request's user
    PLACES = 2  # row places[i]: an item of the item table


@dataclass(frozen=True)
class ColumnPart:
    """One column's arrays, as the layout above has them; None for those it has not."""

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

    `columns` int64 [columns * COLUMN_WORDS] points into `memory`. `bound` is at least the number of
    values that any column has, once it is split; `shared` the same of the columns that have one row
    for all, in all.
    """

    rows: int
    columns: npt.NDArray[np.int64]
    bound: int
    shared: int
    memory: object

    def part(self, index: int, spec: ColumnSpec) -> ColumnPart:
        """The arrays of one column, before any kernel ran."""
        words = self.columns[index * COLUMN_WORDS : (index + 1) * COLUMN_WORDS].tolist()
        count = 1 if words[Word.MODE] == Mode.ONE else self.rows
        rows = None
        if spec.delimiter is not None:
            rows = self._array(words[Word.ROWS], count + 1, "int64")
            count = int(rows[-1])
        values = self._array(words[Word.VALUES], count + 1, "int64")
        count = int(values[-1])
        numbers = np.empty(0)
        if spec.has_numbers:
            numbers = self._array(words[Word.NUMBERS], count, "float64")
        if not spec.is_text:
            none = np.empty(0, np.uint8)
            return ColumnPart(rows, values, None, none, numbers, words[Word.SPLIT])
        offsets = self._array(words[Word.OFFSETS], count + 1, "int64")
        text = self._array(words[Word.TEXT] + int(offsets[0]), int(offsets[-1] - offsets[0]))
        return ColumnPart(rows, values, offsets, text, numbers, words[Word.SPLIT])

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
