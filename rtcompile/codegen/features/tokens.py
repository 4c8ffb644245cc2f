"""Walk the tokens of a value: split on its separators, or take it whole.

p = begin
while p < end and not full:
    q = split ? first separator at or after p, or end : end        # sixteen bytes a step
    if q > p:  body(p, q)
    p = q + size of the separator

A separator is one byte, two bytes that both count, or a word of several bytes beside one:

find_word:  do  q = first of word[0] and the other byte at or after q, or end
            while  q < end, text[q] is not the other byte, text[q:] does not begin with the word
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit import llvm_helpers as wrapping
from rtcompile.codegen.emit.tir import Cell, i64
from rtcompile.codegen.features.encoded import EncodedColumn
from rtcompile.codegen.features.inputs import InputView, Views
from rtcompile.runtime.encoding.raw_values import VALUE_SEPARATOR

__all__ = ["Separator", "TokenCursor", "each_token", "find_byte", "separator_of", "split_text"]

_STEP = 16

Body = Callable[[Any, Any], None]  # (first byte, size)


@dataclass(frozen=True)
class Separator:
    """What stands between tokens: `byte`, an int64; where `other`, that byte too.

    `rest`: the bytes behind the first of a separator that is a word.
    """

    byte: Any
    other: int | None = None
    rest: bytes = b""


def separator_of(views: Views) -> Separator:
    """What splits the texts that a feature reads (`kernel_parameters.py`)."""
    separator = views.feature.separator
    other = None if separator == VALUE_SEPARATOR else VALUE_SEPARATOR[0]
    return Separator(views.scalar("separator"), other, separator[1:])


def each_token(
    view: InputView,
    separator: Separator,
    wanted: Callable[[], Any],
    body: Callable[[Any, Any, Any], None],
) -> None:
    """Emit `body(value, begin, size)` for every token of the entry that is not empty."""
    at = Cell("int64", view.first)
    with T.While(tirx.And(at.get() < view.end, wanted())):
        value = T.Bind(at.get())
        begin, end = view.column.bytes_of(value)
        split_text(
            view.column.text,
            (begin, end, view.column.split),
            separator,
            wanted,
            lambda b, n: body(value, b, n),
        )
        at.add(i64(1))


def split_text(
    text: Any,
    piece: tuple[Any, Any, Any],
    separator: Separator,
    wanted: Callable[[], Any],
    body: Body,
) -> None:
    """Emit `body(begin, size)` for every part of text[begin:end] that is not empty.

    `piece`: begin, end, whether to split it at all.
    """
    begin, end, split = piece
    at = Cell("int64", begin)
    with T.While(tirx.And(at.get() < end, wanted())):
        start = T.Bind(at.get())
        stop = Cell("int64", tirx.Select(split, start, end))
        width = _find(text, separator, stop, end)
        size = T.Bind(stop.get() - start)
        # Before the body: what it emits may be long, and a loop has one way on.
        at.set(stop.get() + width)
        with T.If(size > 0), T.Then():
            body(start, size)


def _find(text: Any, separator: Separator, stop: Cell, end: Any) -> Any:
    """Move `stop` to the first separator at or after it, at most to `end`; returns its size."""
    if not separator.rest:
        find_byte(text, separator.byte, stop, end, separator.other)
        return i64(1)
    assert separator.other is not None
    first, word = T.Bind(tirx.Cast("uint8", separator.byte)), i64(1 + len(separator.rest))
    width, going = Cell("int64", i64(1)), Cell("int32", 1)
    with T.While(going.get() != 0):
        find_byte(text, separator.byte, stop, end, separator.other)
        here = T.Bind(stop.get())
        # The word may end in the padding of the text, and counts within it alone.
        same = tirx.And(here + word <= end, text[here] == first)
        for place, byte in enumerate(separator.rest):
            same = tirx.And(same, text[here + 1 + place] == tirx.const(byte, "uint8"))
        is_word = T.Bind(same)
        other = text[here] == tirx.const(separator.other, "uint8")
        done = T.Bind(tirx.Or(here >= end, tirx.Or(other, is_word)))
        width.set(tirx.Select(is_word, word, i64(1)))
        going.set(tirx.Cast("int32", tirx.Not(done)))
        stop.set(tirx.Select(done, here, here + 1))
    return T.Bind(width.get())


def find_byte(text: Any, byte: Any, stop: Cell, end: Any, other: int | None = None) -> None:
    """Move `stop` to the first such byte, or `other`, at or after it, at most to `end`.

    Sixteen bytes a step: texts are padded by as many.
    """
    wanted = [T.Bind(tirx.Cast("uint8", byte))]
    function = wrapping.FIND_BYTE
    if other is not None:
        wanted.append(tirx.const(other, "uint8"))
        function = wrapping.FIND_EITHER
    place = Cell("int64", i64(_STEP))
    with T.While(tirx.And(stop.get() < end, place.get() == i64(_STEP))):
        bytes_here = tirx.BufferLoad(text, [tirx.Ramp(stop.get(), i64(1), _STEP)])
        place.set(T.call_pure_extern("int64", function, bytes_here, *wanted))
        stop.add(place.get())
    stop.set(tirx.min(stop.get(), end))


class TokenCursor:
    """Walks all tokens of an entry one by one, empty ones too.

    An empty text has no token; an empty value of a list is one.
    """

    def __init__(self, view: InputView, separator: Separator) -> None:
        self._column: EncodedColumn = view.column
        self._view, self._separator = view, separator
        self._value = Cell("int64", view.first)
        self._at, self._end = Cell("int64", i64(0)), Cell("int64", i64(-1))
        self.begin, self.size = Cell("int64", i64(0)), Cell("int64", i64(0))
        self.valid = Cell("int32", 1)

    def next(self) -> None:
        """Emit the step to the next token; `valid` is 0 where there is none."""
        found = Cell("int32", 0)
        with T.If(self._at.get() <= self._end.get()), T.Then():
            self._take()
            found.set(1)
        with T.While(tirx.And(found.get() == 0, self._value.get() < self._view.end)):
            begin, end = self._column.bytes_of(self._value.get())
            self._value.add(i64(1))
            self._at.set(begin)
            self._end.set(end)
            with T.If(tirx.Or(end > begin, tirx.Not(self._column.split))), T.Then():
                self._take()
                found.set(1)
        self.valid.set(found.get())

    def _take(self) -> None:
        start = T.Bind(self._at.get())
        stop = Cell("int64", tirx.Select(self._column.split, start, self._end.get()))
        width = _find(self._column.text, self._separator, stop, T.Bind(self._end.get()))
        self.begin.set(start)
        self.size.set(stop.get() - start)
        self._at.set(stop.get() + width)
