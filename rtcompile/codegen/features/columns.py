"""Encoded columns, as kernels read them. `runtime/encode.py` writes them and describes the layout.

words     int64: a descriptor of COLUMN_WORDS a column, then the offsets they point at
text      uint8: the bytes of all values, padded so that a word can be read at any of them
numbers   float64: the numbers and weights of all values
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.features.tir import i64
from runtime.encode import COLUMN_WORDS, Word

__all__ = ["EncodedColumn"]

_ANY = 1 << 40


class EncodedColumn:
    """A column's places, bound once at the head of a kernel."""

    def __init__(self, places: Sequence[Any], column: Any) -> None:
        words_at, text_at, numbers_at = places
        self._words = T.decl_buffer((_ANY,), "int64", data=words_at)
        self.text = T.decl_buffer((_ANY,), "uint8", data=text_at)
        self._numbers = T.decl_buffer((_ANY,), "float64", data=numbers_at)
        first = T.Bind(column * i64(COLUMN_WORDS))
        self._rows = T.Bind(self._words[first + Word.ROWS])
        self._values = T.Bind(self._words[first + Word.VALUES])
        self._offsets = T.Bind(self._words[first + Word.OFFSETS])
        self._first_number = T.Bind(self._words[first + Word.NUMBERS])
        self.split = T.Bind(self._words[first + Word.SPLIT] != i64(0))

    def entries(self, row: Any) -> tuple[Any, Any]:
        """(first element, one past the last) of a row of a sequence column."""
        return T.Bind(self._words[self._rows + row]), T.Bind(self._words[self._rows + row + 1])

    def values(self, entry: Any) -> tuple[Any, Any]:
        """(first value, one past the last) of an entry: a row, or an element of a sequence."""
        at = T.Bind(self._values + entry)
        return T.Bind(self._words[at]), T.Bind(self._words[at + 1])

    def bytes_of(self, value: Any) -> tuple[Any, Any]:
        """(first byte, one past the last) of a value in `text`."""
        at = T.Bind(self._offsets + value)
        return T.Bind(self._words[at]), T.Bind(self._words[at + 1])

    def number(self, value: Any) -> Any:
        """The number of a value, or its weight."""
        return self._numbers[self._first_number + value]
