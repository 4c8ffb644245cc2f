"""The parts of a map's text: pairs, and what stands before and behind a byte."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit.tir import Cell, i64
from rtcompile.codegen.features.inputs import InputView
from rtcompile.codegen.features.tokens import Separator, each_token, find_byte
from rtcompile.runtime.encoding.raw_values import VALUE_SEPARATOR

__all__ = ["INNER_PARTS", "OUTER_PARTS", "PAIRS", "Piece", "each_pair", "partition"]

# Between the pairs of a map; of a map of maps, between its entries, and between pairs of theirs.
PAIRS = Separator(i64(VALUE_SEPARATOR[0]))
OUTER_PARTS = Separator(i64(ord("|")))
INNER_PARTS = Separator(i64(ord(",")), VALUE_SEPARATOR[0])

Piece = tuple[Any, Any]  # (begin, size)


def each_pair(
    table: InputView,
    wanted: Callable[[], Any],
    body: Callable[[Piece, Piece], None],
    bad: Callable[[Piece], None],
) -> None:
    """Emit `body(key, value)` for every pair of the entry that has both.

    `bad(piece)` for each that cannot be read: it has no key, or nothing that parts it from a value.
    """
    paired = T.Bind(table.column.paired)
    at = Cell("int64", tirx.Select(paired, table.first, table.end))
    with T.While(tirx.And(at.get() < table.end, wanted())):
        value = T.Bind(at.get())
        begin, end = table.column.bytes_of(value)
        other, last = table.column.bytes_of(T.Bind(value + 1))
        at.add(i64(2))
        with T.If(tirx.And(end > begin, last > other)), T.Then():
            body((begin, T.Bind(end - begin)), (other, T.Bind(last - other)))
        with T.If(tirx.And(end == begin, last > other)), T.Then():
            bad((other, T.Bind(last - other)))

    def joined(value: Any, begin: Any, size: Any) -> None:
        key, text = partition(table.column.text, (begin, size), ord(":"))
        with T.If(tirx.And(key[1] > 0, text[1] > 0)), T.Then():
            body(key, text)
        with T.If(tirx.Or(key[1] == 0, text[1] < 0)), T.Then():
            bad((begin, size))

    text_only = _Without(table, paired)
    each_token(text_only, PAIRS, wanted, joined)  # type: ignore[arg-type]


class _Without:
    """The entry as one without values where its column holds pairs."""

    def __init__(self, table: InputView, paired: Any) -> None:
        self.column = table.column
        self.first = T.Bind(tirx.Select(paired, table.end, table.first))
        self.end = table.end


def partition(text: Any, piece: Piece, byte: int) -> tuple[Piece, Piece]:
    """A piece before and behind the first such byte; without one the second has size -1."""
    begin, end = piece[0], T.Bind(piece[0] + piece[1])
    at = Cell("int64", begin)
    find_byte(text, tirx.const(byte, "int64"), at, end)
    split = T.Bind(at.get())
    return (begin, T.Bind(split - begin)), (T.Bind(split + 1), T.Bind(end - split - 1))
