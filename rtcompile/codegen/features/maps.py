"""Maps in raw columns: look a key up, and the two levels of a match feature's map.

A column holds a map as text ("key:value" joined by \\x1d), or as values that alternate between keys
and values. A scan from the front: the first of equal keys counts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit.tir import Cell, i64, u64
from rtcompile.codegen.features.bucketize import compare_bytes
from rtcompile.codegen.features.inputs import InputView
from rtcompile.codegen.features.map_parts import (
    INNER_PARTS,
    OUTER_PARTS,
    Piece,
    each_pair,
    partition,
)
from rtcompile.codegen.features.tokens import Separator, split_text

__all__ = ["Found", "each_match", "find_in_map", "same_bytes"]

_ALL = b"ALL"

Key = tuple[Any, Any, Any]  # (text, begin, size)


class Found:
    """Where a value stands in the map's text; `here` is 0 where there is none."""

    def __init__(self) -> None:
        self.begin, self.size = Cell("int64", i64(0)), Cell("int64", i64(0))
        self.here = Cell("int32", 0)

    def set(self, begin: Any, size: Any) -> None:
        """Emit stores."""
        self.here.set(tirx.const(1, "int32"))
        self.begin.set(begin)
        self.size.set(size)


def same_bytes(one: Key, other: Key) -> Any:
    """Whether two pieces are equal."""
    different = Cell("uint64", u64(1))
    with T.If(one[2] == other[2]), T.Then():
        different.set(u64(0))
        compare_bytes(different, (one[0], one[1]), (other[0], other[1]), one[2])
    return T.Bind(different.get() == u64(0))


def find_in_map(
    found: Found, bad: Found, table: InputView, text: Any, begin: Any, size: Any
) -> None:
    """The value of a key in the entry's map. `bad`: an entry before it that cannot be read."""

    def pair(key: Piece, value: Piece) -> None:
        with T.If(same_bytes((table.column.text, *key), (text, begin, size))), T.Then():
            found.set(*value)

    each_pair(table, lambda: found.here.get() == 0, pair, lambda piece: bad.set(*piece))


def each_match(
    table: InputView,
    wild: bool,
    first: Key,
    second: Key,
    bad: Found,
    body: Callable[[Piece, Piece, Piece], None],
) -> None:
    """Emit `body(first key, second key, value)` for every hit in "k^k:v,k:v|k^...".

    `bad`: an entry that cannot be read, of the inner map where its key is met, else of the outer.

    The first of equal keys counts: of the first level where it is met again, of the second where it
    was met in the same inner map.
    """
    text = table.column.text
    all_firsts, all_seconds = _is_all(first, wild), _is_all(second, wild)
    done, inner_is_bad = Cell("int32", 0), Cell("int32", 0)
    whole_begin, whole_end = table.column.bytes_of(table.first)
    yes = tirx.const(True, "bool")
    empty = T.Bind(table.first >= table.end)
    end = T.Bind(tirx.Select(empty, whole_begin, whole_end))

    def outer(begin: Any, size: Any) -> None:
        key, inner = partition(text, (begin, size), ord("^"))
        named = T.Bind(tirx.And(key[1] > 0, inner[1] >= 0))
        with T.If(tirx.And(tirx.Not(named), inner_is_bad.get() == 0)), T.Then():
            bad.set(begin, size)
        equal = same_bytes((text, *key), first)
        repeated = _stands_before(text, (whole_begin, begin), OUTER_PARTS, ord("^"), key)
        wanted = tirx.And(named, tirx.Or(equal, all_firsts))
        with T.If(tirx.And(wanted, tirx.Not(repeated))), T.Then():
            done.set(tirx.Cast("int32", tirx.Not(all_firsts)))
            with T.If(tirx.And(done.get() != 0, inner_is_bad.get() == 0)), T.Then():
                bad.here.set(0)
            _inner(key, inner)

    def _inner(key: Piece, inner: Piece) -> None:
        stop = Cell("int32", 0)

        def pair(begin: Any, size: Any) -> None:
            name, value = partition(text, (begin, size), ord(":"))
            named = T.Bind(tirx.And(name[1] > 0, value[1] >= 0))
            with T.If(tirx.Not(named)), T.Then():
                inner_is_bad.set(1)
                bad.set(begin, size)
            equal = same_bytes((text, *name), second)
            repeated = _stands_before(text, (inner[0], begin), INNER_PARTS, ord(":"), name)
            wanted = tirx.And(named, tirx.Or(equal, all_seconds))
            with T.If(tirx.And(wanted, tirx.Not(repeated))), T.Then():
                stop.set(tirx.Cast("int32", tirx.Not(all_seconds)))
                body(key, name, value)

        piece = (inner[0], T.Bind(inner[0] + inner[1]), yes)
        split_text(text, piece, INNER_PARTS, lambda: stop.get() == 0, pair)

    split_text(text, (whole_begin, end, yes), OUTER_PARTS, lambda: done.get() == 0, outer)


def _is_all(key: Key, wild: bool) -> Any:
    if not wild:
        return tirx.const(False, "bool")
    text, begin, size = key
    found = size == i64(len(_ALL))
    for k, byte in enumerate(_ALL):
        found = tirx.And(found, text[begin + k] == tirx.const(byte, "uint8"))
    return T.Bind(found)


def _stands_before(text: Any, span: Piece, separator: Separator, pair: int, key: Piece) -> Any:
    """Whether a part of text[span] has the same key. Only ALL can meet a key twice."""
    found = Cell("int32", 0)

    def part(begin: Any, size: Any) -> None:
        name, value = partition(text, (begin, size), pair)
        equal = same_bytes((text, *name), (text, *key))
        with T.If(tirx.And(equal, value[1] >= 0)), T.Then():
            found.set(1)

    piece = (span[0], span[1], tirx.const(True, "bool"))
    split_text(text, piece, separator, lambda: found.get() == 0, part)
    return T.Bind(found.get() != 0)
