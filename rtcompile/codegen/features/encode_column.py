"""Emit the encoding of one column: its rows, their elements, the values of these.

    for each row:                   one, or as many as a list or an array has
        for each element:           one, or those of a list or of a text that is split
            for each value:         one, or those of a list
                append its bytes, or its number
    where anything is of a type, or a mix of types, that this does not know:
        take back what was appended, pass over the column, leave it to the runtime
    write the descriptor

`encode_values.py` does so for every column of a request.
"""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit.structs import Struct
from rtcompile.codegen.emit.tir import (
    Cell,
    f64,
    i64,
    u64,
)
from rtcompile.codegen.features.column_writer import ValueSink
from rtcompile.codegen.features.encode_plain import plain_array, plain_values
from rtcompile.codegen.features.tokens import find_byte
from rtcompile.codegen.features.wire_format import HEAD_BYTES, Leaf, Marshalled
from rtcompile.runtime.abi.encode_values import EncodeState, Form, Plan
from rtcompile.runtime.abi.encoded import ColumnDescriptor, Split

__all__ = ["Column"]

_UNDECIDED = -1
_NAN = 0x7FF8 << 48
_WHOLE = 2.0**53  # from here on floats have no last digit


class Column:
    """One column. `bad`: 1 once something was met that is left to the runtime."""

    def __init__(self, reader: Marshalled, sink: ValueSink, plan: Struct) -> None:
        self._reader, self._sink = reader, sink
        self._plan = {field: T.Bind(plan[field]) for field in Plan.FIELDS}
        self.bad = Cell("int64", i64(0))
        self._mode = Cell("int64", i64(_UNDECIDED))  # Split.LIST, Split.TEXT
        self._empty = Cell("int64", i64(0))  # entries before that was decided
        self._plain = Cell("int64", i64(1))  # whether each entry has exactly one value
        self._at = T.Bind(reader.at.get())
        self._sequence = T.Bind(self._plan[Plan.LENGTH] > 0)
        self._is_text = T.Bind(self._plan[Plan.FORM] == Form.TEXT)
        self._keeps_empty = T.Bind(self._plan[Plan.KEEPS_EMPTY] != 0)

    def _good(self, condition: Any) -> Any:
        return tirx.And(self.bad.get() == 0, condition)

    def _spoil(self, condition: Any) -> None:
        self.bad.set(self.bad.get() | tirx.Cast("int64", condition))

    def encode(self, rows: Any, single: Any) -> None:
        """Emit the walk over all rows."""
        reader, sink = self._reader, self._sink
        row = Cell("int64", i64(0))
        with T.If(single == 0), T.Then():
            self._spoil(tirx.Not(reader.has_rows(rows)))
        # Without the rows of one that has fewer: there may be no room for them.
        sink.begin_column(self._sequence, T.Bind(tirx.Select(self.bad.get() == 0, rows, i64(0))))
        with T.If(self._good(single == 0)), T.Then(), T.If(reader.is_array(reader.tag())):
            with T.Then():
                reader.enter_array()
                self._plain_array(rows, row)
            with T.Else():
                reader.at.add(i64(HEAD_BYTES))
        with T.While(self._good(row.get() < rows)):
            with T.If(tirx.Not(self._sequence)), T.Then():
                self._plain_values(row, rows)
            with T.If(self._good(row.get() < rows)), T.Then():
                self._row()
                row.add(i64(1))
                with T.If(self._sequence), T.Then():
                    sink.end_row(row.get())
        reader.leave_array()

    def _plain_array(self, rows: Any, row: Cell) -> None:
        """All rows of an array at once, where that can be."""
        keeps = tirx.Or(self._is_text, self._keeps_empty)
        with T.If(self._good(T.Bind(tirx.And(tirx.Not(self._sequence), keeps)))), T.Then():
            plain_array(self._reader, self._sink, self._is_text, row, rows)

    def _plain_values(self, number: Cell, limit: Any) -> None:
        """Those from the next on that are entries, up to the first that is more than a value."""
        first = T.Bind(number.get())
        with T.If(self._reader.kind.get() == 0), T.Then():
            how = (self._is_text, self._keeps_empty)
            plain_values(self._reader, self._sink, *how, number, limit)
        with T.If(number.get() > first), T.Then():
            self._decide(i64(Split.TEXT))

    def _row(self) -> None:
        reader, sink = self._reader, self._sink
        elements, skipped = Cell("int64", i64(1)), Cell("int64", i64(0))
        with T.If(self._sequence), T.Then():
            is_list = reader.is_list(reader.tag())
            with T.If(is_list):
                with T.Then():
                    elements.set(reader.count())
                    reader.at.add(i64(HEAD_BYTES))
                    with T.If(elements.get() == 0), T.Then():
                        self._empty_entry()
                with T.Else():
                    elements.set(i64(0))
                    self._joined()
        element, kept = Cell("int64", i64(0)), sink.mark()
        length = T.Bind(self._plan[Plan.LENGTH])
        with T.While(self._good(element.get() < elements.get())):
            with T.If(self._sequence), T.Then():
                self._plain_values(element, T.Bind(tirx.min(elements.get(), length)))
                with T.If(tirx.And(element.get() == length, skipped.get() == 0)), T.Then():
                    sink.keep(kept)
                    skipped.set(i64(1))
            with T.If(self._good(element.get() < elements.get())), T.Then():
                self._entry()
                element.add(i64(1))
        with T.If(skipped.get() != 0), T.Then():
            sink.restore(kept)

    def _joined(self) -> None:
        """A sequence that is one text: its elements."""
        reader, sink = self._reader, self._sink
        reader.read()
        form = T.Bind(reader.form.get())
        begin, size = T.Bind(reader.begin.get()), T.Bind(reader.size.get())
        none = tirx.Or(form == Leaf.NONE, tirx.And(form == Leaf.TEXT, size == 0))
        with T.If(none):
            with T.Then():
                self._empty_entry()
            with T.Else():
                known = tirx.And(form == Leaf.TEXT, self._is_text)
                self._spoil(tirx.Not(known))
                self._decide(i64(Split.TEXT))
                stop = Cell("int64", begin)
                left, end = Cell("int64", self._plan[Plan.LENGTH]), T.Bind(begin + size)
                with T.While(self._good(left.get() > 0)):
                    start = T.Bind(stop.get())
                    find_byte(reader.data, self._plan[Plan.DELIMITER], stop, end)
                    sink.copy(reader.data, start, T.Bind(stop.get() - start))
                    sink.end_text()
                    sink.end_entry(self._is_text)
                    more = tirx.Cast("int64", stop.get() < end)
                    left.set(tirx.Select(more != 0, left.get() - 1, i64(0)))
                    stop.add(i64(1))

    def _empty_entry(self) -> None:
        """The one element of an empty sequence: as None."""
        self._reader.form.set(i64(Leaf.NONE))
        self._single_value()
        self._sink.end_entry(self._is_text)

    def _entry(self) -> None:
        """A row of a plain column, or an element of a sequence."""
        reader, sink = self._reader, self._sink
        before = sink.values(self._is_text)
        is_list = reader.is_list(reader.tag())
        with T.If(is_list):
            with T.Then():
                self._spoil(self._plan[Plan.LISTS] == 0)
                self._decide(i64(Split.LIST))
                count = reader.count()
                reader.at.add(i64(HEAD_BYTES))
                value = Cell("int64", i64(0))
                with T.While(self._good(value.get() < count)):
                    reader.read()
                    self._value(in_list=True)
                    value.add(i64(1))
            with T.Else():
                reader.read()
                self._single_value()
        with T.If(sink.values(self._is_text) != before + 1), T.Then():
            self._plain.set(i64(0))
        sink.end_entry(self._is_text)

    def _decide(self, mode: Any) -> None:
        """All entries of a column of texts are lists, or none is."""
        with T.If(self._is_text), T.Then():
            undecided = T.Bind(self._mode.get() == _UNDECIDED)
            # An entry without a value has one text, an empty one, unless others are lists.
            late = tirx.And(mode == Split.LIST, self._empty.get() > 0)
            self._spoil(tirx.Select(undecided, late, self._mode.get() != mode))
            self._mode.set(mode)

    def _single_value(self) -> None:
        """The value that was read, as an entry."""
        none = T.Bind(self._reader.form.get() == Leaf.NONE)
        with T.If(tirx.And(none, self._is_text)):
            # Beside lists it has no value.
            with T.Then(), T.If(self._mode.get() != Split.LIST), T.Then():
                self._empty.add(i64(1))
                self._sink.end_text()
            with T.Else(), T.If(tirx.Not(none)), T.Then():
                self._decide(i64(Split.TEXT))
                self._value(in_list=False)

    def _value(self, in_list: bool) -> None:
        """Append the value that was read."""
        with T.If(self._is_text):
            with T.Then():
                self._text(in_list)
            with T.Else():
                self._number()

    def _text(self, in_list: bool) -> None:
        reader, sink = self._reader, self._sink
        form = T.Bind(reader.form.get())
        before = sink.bytes()
        with T.If(form == Leaf.TEXT):
            with T.Then():
                sink.copy(reader.data, reader.begin.get(), T.Bind(reader.size.get()))
            with T.Else():
                real = T.Bind(reader.real.get())
                whole = T.Bind(tirx.And(real > f64(-_WHOLE), real < f64(_WHOLE)))
                cut = T.Bind(tirx.Cast("int64", T.Bind(tirx.Select(whole, real, f64(0.0)))))
                same = tirx.And(whole, tirx.Cast("float64", cut) == real)
                digits = T.Bind(tirx.Or(form == Leaf.INTEGER, tirx.And(form == Leaf.REAL, same)))
                nothing = tirx.Or(form == Leaf.NONE, tirx.And(form == Leaf.REAL, tirx.isnan(real)))
                self._spoil(tirx.Not(tirx.Or(digits, nothing)))
                with T.If(digits), T.Then():
                    number = tirx.Select(form == Leaf.REAL, cut, reader.integer.get())
                    sink.digits(T.Bind(number))
        if in_list:
            empty = tirx.And(sink.bytes() == before, tirx.Not(self._keeps_empty))
            with T.If(tirx.Not(empty)), T.Then():
                sink.end_text()
        else:
            sink.end_text()

    def _number(self) -> None:
        reader, sink = self._reader, self._sink
        form = T.Bind(reader.form.get())
        self._spoil(tirx.Or(form == Leaf.OTHER, form == Leaf.TEXT))
        number = Cell("float64", reader.real.get())
        with T.If(form == Leaf.INTEGER), T.Then():
            number.set(tirx.Cast("float64", reader.integer.get()))
        with T.If(form == Leaf.NONE), T.Then():
            number.set(T.reinterpret("float64", u64(_NAN)))
        found = T.Bind(number.get())
        dropped = tirx.And(tirx.Not(self._keeps_empty), tirx.isnan(found))
        with T.If(tirx.Not(dropped)), T.Then():
            sink.append_number(found)

    def finish(self, columns: Any, state: Struct) -> Any:
        """Emit the descriptor, or the passing over; returns whether that could be."""
        sink, reader = self._sink, self._reader
        passed = Cell("int64", i64(1))
        with T.If(self.bad.get() != 0):
            with T.Then():
                sink.take_back()
                reader.at.set(self._at)
                passed.set(tirx.Cast("int64", reader.skip()))
            with T.Else():
                shared = T.Bind(tirx.And(tirx.Not(self._sequence), self._plain.get() != 0))
                listed = self._mode.get() == Split.LIST
                word = dict.fromkeys(ColumnDescriptor.FIELDS, i64(0))
                rows, values = sink.end_column(self._sequence, shared)
                word[ColumnDescriptor.ROWS] = tirx.Select(
                    self._sequence, state[EncodeState.EDGES] + rows, i64(0)
                )
                word[ColumnDescriptor.VALUES] = state[EncodeState.EDGES] + values
                text, number = sink.first_text(), sink.first_number()
                is_text = self._is_text
                word[ColumnDescriptor.OFFSETS] = tirx.Select(
                    is_text, state[EncodeState.OFFSETS] + text, i64(0)
                )
                word[ColumnDescriptor.TEXT] = tirx.Select(is_text, state[EncodeState.TEXT], i64(0))
                word[ColumnDescriptor.NUMBERS] = tirx.Select(
                    is_text, i64(0), state[EncodeState.NUMBERS] + number
                )
                word[ColumnDescriptor.SPLIT] = tirx.Select(
                    listed, i64(Split.LIST), self._plan[Plan.SPLIT]
                )
                word[ColumnDescriptor.MODE] = state[EncodeState.MODE]
                first = T.Bind(self._plan[Plan.COLUMN] * ColumnDescriptor.WORDS)
                descriptor = Struct(ColumnDescriptor, columns, first)
                for field, value in word.items():
                    descriptor[field] = value
        return T.Bind(passed.get() != 0)
