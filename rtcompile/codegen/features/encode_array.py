"""Arrays with a plain value a row, encoded by loops that do nothing else.

    numbers[...] = data[...]                        # eight a step, float32 or float64

    for each row:
        size = width less the zeros behind          # of up to 8 bytes by their count in a word
        text[...] = data[at : at + size]; offsets[...] = end of the text; at += width

Every entry has one value, so the column needs no words of its own. Arrays of integers, and columns
that are sequences or drop NaN, go value by value (`encode_values.py`).
"""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.features.marshalled import Marshalled
from rtcompile.codegen.features.tir import Cell, i64, load_word, u64
from rtcompile.codegen.features.value_sink import ValueSink

__all__ = ["encode_array"]


def encode_array(reader: Marshalled, sink: ValueSink, is_text: Any, rows: Any) -> Any:
    """Emit the loops over an array that the reader has entered; returns whether one was taken.

    `is_text`: whether the column has texts, else numbers.
    """
    taken = Cell("int64", i64(0))
    kind, width = T.Bind(reader.kind.get()), T.Bind(reader.width.get())
    with T.If(T.Bind(tirx.And(kind == ord("S"), is_text))), T.Then():
        taken.set(i64(1))
        with T.If(width <= 8):
            with T.Then():
                _texts(reader, sink, width, rows, short=True)
            with T.Else():
                _texts(reader, sink, width, rows, short=False)
    with T.If(T.Bind(tirx.And(kind == ord("f"), tirx.Not(is_text)))), T.Then():
        taken.set(i64(1))
        for size in (4, 8):
            with T.If(width == size), T.Then():
                sink.append_reals(reader.data, T.Bind(reader.at.get()), size, rows)
        reader.at.add(width * rows)
    return T.Bind(taken.get() != 0)


def _texts(reader: Marshalled, sink: ValueSink, width: Any, rows: Any, short: bool) -> None:
    with T.serial(rows):
        at = T.Bind(reader.at.get())
        if short:
            sink.copy(reader.data, at, _size_in_word(reader.data, at, width))
        else:
            reader.read()
            sink.copy(reader.data, at, T.Bind(reader.size.get()))
        sink.end_text()
        if short:
            reader.at.set(at + width)


def _size_in_word(data: Any, at: Any, width: Any) -> Any:
    """Of a text of up to 8 bytes, the zeros behind which are none of it."""
    shift = T.Bind(tirx.Cast("uint64", (8 - width) * 8))
    word = T.Bind(load_word(data, at) << shift)
    zeros = T.call_llvm_pure_intrin("uint64", "llvm.ctlz", word, tirx.const(False, "bool"))
    return T.Bind(tirx.Select(word == u64(0), i64(0), width - tirx.Cast("int64", zeros >> u64(3))))
