"""Walk the tokens of a value: split on a separator byte, or take it whole.

p = begin
while p < end and not full:
    q = split ? first separator at or after p, or end : end        # sixteen bytes a step
    if q > p:  body(p, q)
    p = q + 1
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen import wrapping
from rtcompile.codegen.features.columns import EncodedColumn
from rtcompile.codegen.features.inputs import InputView
from rtcompile.codegen.features.tir import Cell, i64

__all__ = ["TokenCursor", "each_token", "find_byte", "split_text"]

_STEP = 16

Body = Callable[[Any, Any], None]  # (first byte, size)


def each_token(
    view: InputView,
    separator: Any,
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
    separator: Any,
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
        find_byte(text, separator, stop, end)
        size = T.Bind(stop.get() - start)
        # Before the body: what it emits may be long, and a loop has one way on.
        at.set(stop.get() + 1)
        with T.If(size > 0), T.Then():
            body(start, size)


def find_byte(text: Any, byte: Any, stop: Cell, end: Any) -> None:
    """Move `stop` to the first such byte at or after it, at most to `end`.

    Sixteen bytes a step: texts are padded by as many.
    """
    wanted = T.Bind(tirx.Cast("uint8", byte))
    place = Cell("int64", i64(_STEP))
    with T.While(tirx.And(stop.get() < end, place.get() == i64(_STEP))):
        bytes_here = tirx.BufferLoad(text, [tirx.Ramp(stop.get(), i64(1), _STEP)])
        place.set(T.call_pure_extern("int64", wrapping.FIND_BYTE, bytes_here, wanted))
        stop.add(place.get())
    stop.set(tirx.min(stop.get(), end))


class TokenCursor:
    """Walks all tokens of an entry one by one, empty ones too.

    An empty text has no token; an empty value of a list is one.
    """

    def __init__(self, view: InputView, separator: Any) -> None:
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
        find_byte(self._column.text, self._separator, stop, T.Bind(self._end.get()))
        self.begin.set(start)
        self.size.set(stop.get() - start)
        self._at.set(stop.get() + 1)
