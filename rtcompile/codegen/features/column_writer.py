"""Where encoded values are appended: words, offsets, numbers and bytes, each behind the last.

`words` begins with 0 1 2 ... rows: the values of columns that have one an entry. A sequence's rows
stand before its values.
"""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit.tir import Cell, i64
from rtcompile.codegen.features.format_number import write_digits

__all__ = ["ValueSink", "copy_text"]

_STEP = 16  # bytes that are copied at once
_REALS = 8  # numbers likewise


class ValueSink:
    """Cursors into the parts, and where the column that is written began."""

    def __init__(self, words: Any, offsets: Any, numbers: Any, text: Any) -> None:
        self._words_at, self._offsets_at = words, offsets
        self._numbers_at, self._text_at = numbers, text
        self._words, self._texts = Cell("int64", i64(0)), Cell("int64", i64(0))
        self._numbers, self._bytes = Cell("int64", i64(0)), Cell("int64", i64(0))
        self._cursors = (self._words, self._texts, self._numbers, self._bytes)
        self._first = [Cell("int64", i64(0)) for _ in self._cursors]
        self._values = Cell("int64", i64(0))  # where the column's values begin among the words

    def start(self, rows: Any) -> None:
        """Emit what all columns share."""
        with T.serial(rows + 1) as k:
            T.buffer_store(self._words_at, k, [k])
        self._words.set(rows + 1)
        T.buffer_store(self._offsets_at, i64(0), [0])

    def size(self) -> Any:
        """Words, texts, bytes and numbers so far."""
        return self._words.get() + self._texts.get() + self._bytes.get() + self._numbers.get()

    # -- columns ----------------------------------------------------------------------------------

    def begin_column(self, sequence: Any, rows: Any) -> None:
        """From here on a column is written: `rows` + 1 words of a sequence, then values."""
        for cell, first in zip(self._cursors, self._first, strict=True):
            first.set(cell.get())
        with T.If(sequence), T.Then():
            T.buffer_store(self._words_at, i64(0), [self._words.get()])
            self._words.add(rows + 1)
        self._values.set(self._words.get())
        T.buffer_store(self._words_at, i64(0), [self._words.get()])
        self._words.add(i64(1))

    def take_back(self) -> None:
        """The column was none."""
        for cell, first in zip(self._cursors, self._first, strict=True):
            cell.set(first.get())

    def end_column(self, sequence: Any, shared: Any) -> tuple[Any, Any]:
        """Places in bytes of its rows and values. `shared`: each entry has one value."""
        words = self._first[0].get()
        rows = T.Bind(words * 8)
        values = T.Bind(tirx.Select(shared, i64(0), self._values.get() * 8))
        with T.If(shared), T.Then():
            self._words.set(words)
        return rows, values

    def first_text(self) -> Any:
        """Place in bytes of the column's offsets."""
        return self._first[1].get() * 8

    def first_number(self) -> Any:
        """Place in bytes of the column's numbers."""
        return self._first[2].get() * 8

    def end_row(self, row: Any) -> None:
        """The elements so far are those up to row `row` of a sequence."""
        elements = self._words.get() - self._values.get() - 1
        T.buffer_store(self._words_at, elements, [self._first[0].get() + row])

    def end_entry(self, is_text: Any) -> None:
        """The values so far are those up to this entry."""
        T.buffer_store(self._words_at, self.values(is_text), [self._words.get()])
        self._words.add(i64(1))

    def values(self, is_text: Any) -> Any:
        """Of the column so far."""
        texts = self._texts.get() - self._first[1].get()
        numbers = self._numbers.get() - self._first[2].get()
        return T.Bind(tirx.Select(is_text, texts, numbers))

    def mark(self) -> list[Cell]:
        """Room for `keep`."""
        return [Cell("int64", i64(0)) for _ in self._cursors]

    def keep(self, kept: list[Cell]) -> None:
        """Remember how far it is written."""
        for cell, one in zip(self._cursors, kept, strict=True):
            one.set(cell.get())

    def restore(self, kept: list[Cell]) -> None:
        """Take back what came since."""
        for cell, one in zip(self._cursors, kept, strict=True):
            cell.set(one.get())

    # -- values -----------------------------------------------------------------------------------

    def append_number(self, number: Any) -> None:
        """A number."""
        T.buffer_store(self._numbers_at, number, [self._numbers.get()])
        self._numbers.add(i64(1))

    def append_reals(self, data: Any, first: Any, width: int, count: Any) -> None:
        """Numbers of `width` bytes, 4 or 8, that lie side by side in data[first:], 8 a step: some
        behind are read and written too."""
        size = _REALS * width
        with T.serial((count + (_REALS - 1)) >> 3) as k:
            lanes = tirx.BufferLoad(data, [tirx.Ramp(first + k * size, i64(1), size)])
            reals = T.reinterpret(f"float{8 * width}x{_REALS}", lanes)
            at = tirx.Ramp(self._numbers.get() + k * _REALS, i64(1), _REALS)
            T.buffer_store(self._numbers_at, tirx.Cast(f"float64x{_REALS}", reals), [at])
        self._numbers.add(count)

    def bytes(self) -> Any:
        """How many there are."""
        return T.Bind(self._bytes.get())

    def end_text(self) -> None:
        """The bytes since the last text are one."""
        self._texts.add(i64(1))
        T.buffer_store(self._offsets_at, self._bytes.get(), [self._texts.get()])

    def copy(self, data: Any, begin: Any, size: Any) -> None:
        """Append bytes, 16 a step: what is behind them is written too, to where nothing is yet."""
        copy_text(data, begin, size, self._text_at, self.bytes())
        self._bytes.add(size)

    def digits(self, value: Any) -> None:
        """Append an integer."""
        self._bytes.add(write_digits(self._text_at, self.bytes(), value))


def copy_text(data: Any, begin: Any, size: Any, text: Any, to: Any) -> None:
    """Emit a copy of data[begin : begin + size] to text[to:], 16 bytes a step: some behind are
    read and written too."""
    with T.serial((size + (_STEP - 1)) >> 4) as k:
        lanes = tirx.BufferLoad(data, [tirx.Ramp(begin + k * _STEP, i64(1), _STEP)])
        T.buffer_store(text, lanes, [tirx.Ramp(to + k * _STEP, i64(1), _STEP)])
