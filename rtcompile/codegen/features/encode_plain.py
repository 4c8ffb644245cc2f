"""Entries with one plain value each, encoded by loops that do nothing else.

    while the next value is a text, or a number that the column wants:      # `plain_values`
        text[...] = its bytes or digits, or numbers[...] = it
        words[...] = values so far

    numbers[...] = data[...]                            # eight a step, float32 or float64: an array
    for each row of an array of texts or integers:
        text[...] = data[at : at + width], less the zeros behind; or its digits
        offsets[...] = end of the text

A column that is an array has one value an entry, so it needs no words of its own. What is not plain
`encode_column.py` takes value by value.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit.tir import (
    Cell,
    i64,
    load_word,
    u64,
)
from rtcompile.codegen.features.column_writer import ValueSink
from rtcompile.codegen.features.wire_format import HEAD_BYTES, Leaf, Marshalled

__all__ = ["plain_array", "plain_values"]

_REAL_BYTES = 9  # of a tag and a float64
_WORD = 8  # bytes


class _Run:
    """A loop that reads up to `limit` values, and stops before one that it does not know."""

    def __init__(self, reader: Marshalled, sink: ValueSink, number: Cell, limit: Any) -> None:
        self.reader, self.sink = reader, sink
        self._number, self._limit, self._going = number, limit, Cell("int32", 1)

    @contextmanager
    def loop(self) -> Iterator[None]:
        """Emit the body for each value."""
        with T.While(tirx.And(self._number.get() < self._limit, self._going.get() != 0)):
            yield

    def stop(self) -> None:
        """Emit that the value is of another kind."""
        self._going.set(0)

    def take(self, size: Any) -> None:
        """Emit that the value, of so many bytes with its head, was appended."""
        self.reader.at.add(size)
        self._number.add(i64(1))


def plain_values(
    reader: Marshalled, sink: ValueSink, is_text: Any, keeps_nan: Any, number: Cell, limit: Any
) -> None:
    """Emit the loops over tagged values. `number`: of the next one; it ends at `limit`, or at the
    first that is not plain."""
    with T.If(is_text):
        with T.Then():
            _plain_texts(_Run(reader, sink, number, limit))
        with T.Else():
            _plain_numbers(_Run(reader, sink, number, limit), keeps_nan)


def _plain_texts(run: _Run) -> None:
    reader, sink = run.reader, run.sink
    with run.loop():
        tag, word = reader.tag(), reader.count()
        is_text = T.Bind(tag == ord("u"))
        with T.If(tirx.Or(is_text, tag == ord("i"))):
            with T.Then():
                with T.If(is_text):
                    with T.Then():
                        sink.copy(reader.data, T.Bind(reader.at.get() + HEAD_BYTES), word)
                    with T.Else():
                        sink.digits(word)
                sink.end_text()
                sink.end_entry(tirx.const(True, "bool"))
                run.take(HEAD_BYTES + tirx.Select(is_text, word, i64(0)))
            with T.Else():
                run.stop()


def _plain_numbers(run: _Run, keeps_nan: Any) -> None:
    reader, sink = run.reader, run.sink
    with run.loop():
        tag = reader.tag()
        is_real = T.Bind(tag == ord("g"))
        real = T.reinterpret("float64", load_word(reader.data, reader.at.get() + 1))
        whole = tirx.Cast("float64", reader.count())
        found = T.Bind(tirx.Select(is_real, real, whole))
        wanted = tirx.Or(keeps_nan, tirx.Not(tirx.isnan(found)))
        with T.If(tirx.And(tirx.Or(is_real, tag == ord("i")), wanted)):
            with T.Then():
                sink.append_number(found)
                sink.end_entry(tirx.const(False, "bool"))
                run.take(tirx.Select(is_real, i64(_REAL_BYTES), i64(HEAD_BYTES)))
            with T.Else():
                run.stop()


def plain_array(reader: Marshalled, sink: ValueSink, is_text: Any, row: Cell, rows: Any) -> None:
    """Emit the loops over an array that the reader has entered. `row`: of the next value; it ends
    at `rows`, or at the first that is not plain."""
    kind, width = T.Bind(reader.kind.get()), T.Bind(reader.width.get())
    with T.If(kind == ord("S")):
        with T.Then(), T.If(is_text), T.Then():
            with T.If(width <= _WORD):
                with T.Then():
                    _texts(reader, sink, width, rows, short=True)
                with T.Else():
                    _texts(reader, sink, width, rows, short=False)
            row.set(rows)
        with T.Else(), T.If(kind == ord("f")):
            with T.Then(), T.If(tirx.Not(is_text)), T.Then():
                for size in (4, 8):
                    with T.If(width == size), T.Then():
                        sink.append_reals(reader.data, T.Bind(reader.at.get()), size, rows)
                reader.at.add(width * rows)
                row.set(rows)
            with T.Else():
                _integers(_Run(reader, sink, row, rows), is_text, width)


def _texts(reader: Marshalled, sink: ValueSink, width: Any, rows: Any, short: bool) -> None:
    with T.serial(rows):
        at = T.Bind(reader.at.get())
        if short:
            size = _size_in_word(reader.data, at, width)
            reader.at.add(width)
        else:
            reader.read()
            size = T.Bind(reader.size.get())
        sink.copy(reader.data, at, size)
        sink.end_text()


def _size_in_word(data: Any, at: Any, width: Any) -> Any:
    """Of a text of up to 8 bytes, the zeros behind which are none of it."""
    shift = T.Bind(tirx.Cast("uint64", (_WORD - width) * 8))
    word = T.Bind(load_word(data, at) << shift)
    zeros = T.call_llvm_pure_intrin("uint64", "llvm.ctlz", word, tirx.const(False, "bool"))
    return T.Bind(tirx.Select(word == u64(0), i64(0), width - tirx.Cast("int64", zeros >> u64(3))))


def _integers(run: _Run, is_text: Any, width: Any) -> None:
    reader, sink = run.reader, run.sink
    with run.loop():
        reader.read()
        with T.If(reader.form.get() == Leaf.INTEGER):
            with T.Then():
                with T.If(is_text):
                    with T.Then():
                        sink.digits(T.Bind(reader.integer.get()))
                        sink.end_text()
                    with T.Else():
                        sink.append_number(tirx.Cast("float64", reader.integer.get()))
                run.take(i64(0))
            with T.Else():
                reader.at.add(i64(0) - width)
                run.stop()
