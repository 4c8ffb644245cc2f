"""Walk the tokens of a value: split on a separator byte, or take it whole.

p = begin
while p < end and not full:
    q = split ? first separator at or after p, or end : end        # eight bytes a step
    if q > p:  body(p, q)
    p = q + 1
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.features.columns import EncodedColumn
from rtcompile.codegen.features.tir import Cell, i64, load_word, number_of_zero_bytes, subtract, u64

__all__ = ["each_token"]

_ONES = 0x0101010101010101
_HIGHS = 0x8080808080808080


def each_token(
    column: EncodedColumn,
    value: Any,
    separator: Any,
    wanted: Callable[[], Any],
    body: Callable[[Any, Any], None],
) -> None:
    """Emit `body(begin, size)` for every token that is not empty, while `wanted()` holds."""
    begin, end = column.bytes_of(value)
    pattern = T.Bind(tirx.Cast("uint64", separator) * u64(_ONES))
    at = Cell("int64", begin)
    with T.While(tirx.And(at.get() < end, wanted())):
        stop = Cell("int64", tirx.Select(column.split, at.get(), end))
        _find(column.text, pattern, stop, end)
        start = T.Bind(at.get())
        size = T.Bind(stop.get() - start)
        with T.If(size > 0), T.Then():
            body(start, size)
        at.set(stop.get() + 1)


def _find(text: Any, pattern: Any, stop: Cell, end: Any) -> None:
    """Move `stop` to the first byte of the pattern at or after it, at most to `end`.

    A byte of `word ^ pattern` is zero where the separator stands; the lowest bit that the usual
    zero-byte test sets is the first of them.
    """
    found = Cell("uint64", u64(0))
    with T.While(tirx.And(stop.get() < end, found.get() == u64(0))):
        word = T.Bind(load_word(text, stop.get()) ^ pattern)
        found.set(subtract(word, u64(_ONES)) & (word ^ u64(-1)) & u64(_HIGHS))
        with T.If(found.get() == u64(0)):
            with T.Then():
                stop.add(i64(8))
            with T.Else():
                stop.add(number_of_zero_bytes(found.get()))
    stop.set(tirx.min(stop.get(), end))
