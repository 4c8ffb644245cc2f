"""Encoded columns, as kernels read them. `runtime/abi/encoded.py` describes them."""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit.pointers import values_at
from rtcompile.codegen.emit.structs import Struct
from rtcompile.codegen.emit.tir import Cell, i64
from rtcompile.runtime.abi.encoded import ColumnDescriptor, Mode, Split
from rtcompile.runtime.abi.layout import Field

__all__ = ["EncodedColumn"]


class EncodedColumn:
    """A column's arrays, bound once at the head of a kernel.

    `columns`: buffer of descriptors; `index`: which of them; `start`: the tile's first row.
    """

    def __init__(self, columns: Any, index: Any, start: Any) -> None:
        first = T.Bind(index * i64(ColumnDescriptor.WORDS))
        self._descriptor = Struct(ColumnDescriptor, columns, first)
        self._start = start
        self._rows = self._array(ColumnDescriptor.ROWS, "int64")
        self._values = self._array(ColumnDescriptor.VALUES, "int64")
        self._offsets = self._array(ColumnDescriptor.OFFSETS, "int64")
        self.text = self._array(ColumnDescriptor.TEXT, "uint8")
        self.numbers = self._array(ColumnDescriptor.NUMBERS, "float64")
        self._places = self._array(ColumnDescriptor.PLACES, "int64")
        self.text_address = T.Bind(self._descriptor[ColumnDescriptor.TEXT])
        self.split = T.Bind(self._descriptor[ColumnDescriptor.SPLIT] == i64(Split.TEXT))
        self.paired = T.Bind(self._descriptor[ColumnDescriptor.SPLIT] == i64(Split.PAIRS))
        self.mode = T.Bind(self._descriptor[ColumnDescriptor.MODE])
        # Of a map that all rows share; see `hash_table.py`.
        self.table_address = T.Bind(self._descriptor[ColumnDescriptor.ROWS])
        self.table_last = T.Bind(self._descriptor[ColumnDescriptor.NUMBERS])
        self.table_is_bad = T.Bind(self._descriptor[ColumnDescriptor.PLACES] != i64(0))

    def _array(self, field: Field, dtype: str) -> Any:
        return values_at(self._descriptor[field], dtype)

    def row(self, i: Any) -> Any:
        """The column's row for row i of the tile."""
        found = Cell("int64", T.Bind(tirx.Select(self.mode == Mode.ONE, i64(0), self._start + i)))
        with T.If(self.mode == Mode.PLACES), T.Then():
            found.set(self._places[self._start + i])
        return T.Bind(found.get())

    def entries(self, row: Any) -> tuple[Any, Any]:
        """(first element, one past the last) of a row of a sequence column."""
        return T.Bind(self._rows[row]), T.Bind(self._rows[row + 1])

    def values(self, entry: Any) -> tuple[Any, Any]:
        """(first value, one past the last) of an entry: a row, or an element of a sequence."""
        return T.Bind(self._values[entry]), T.Bind(self._values[entry + 1])

    def bytes_of(self, value: Any) -> tuple[Any, Any]:
        """(first byte, one past the last) of a value in `text`."""
        return T.Bind(self._offsets[value]), T.Bind(self._offsets[value + 1])

    def is_empty(self, first: Any, last: Any) -> Any:
        """Whether the values of an entry are none, or a number that is missing, or no text."""
        empty = Cell("int32", tirx.Cast("int32", first == last))
        with (
            T.If(last - first == 1),
            T.Then(),
            T.If(self._descriptor[ColumnDescriptor.OFFSETS] != 0),
        ):
            with T.Then():
                begin, end = self.bytes_of(first)
                empty.set(tirx.Cast("int32", begin == end))
            with T.Else():
                empty.set(tirx.Cast("int32", tirx.isnan(self.number(first))))
        return T.Bind(empty.get() != 0)

    def number(self, value: Any) -> Any:
        """The number of a value, or its weight."""
        return self.numbers[value]
