"""A map that all rows share, joined with the numbered keys of the rows: a value a number.

    values[:] = -1                                     # a NaN as a number
    for each pair of the map:
        number = the key's, among those of the rows    # most maps know keys that no row has
        number and values[number] < 0:  values[number] = the value

and of two levels: an inner map whose first key no row has is skipped, as is one whose first key was
met before. A value is (first byte << 32) + size in the map's text, or a float64, parsed once. A row
then finds its value by its key's number: nothing is hashed or compared for a row and a map.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit.tir import Cell, i64
from rtcompile.codegen.features.dictionary_encoding import KeyNumbers
from rtcompile.codegen.features.hash_table import (
    NO_NUMBER,
    Key,
    Piece,
    pack,
    unpack,
)
from rtcompile.codegen.features.inputs import InputView, Views
from rtcompile.codegen.features.map_parts import (
    INNER_PARTS,
    OUTER_PARTS,
    each_pair,
    partition,
)
from rtcompile.codegen.features.parse_number import parse_number
from rtcompile.codegen.features.tokens import split_text

__all__ = ["BYTES_A_ROW", "JoinedMap"]

# Scratch for each row of a call, and for two more: a value, whether a first key was met, a result.
BYTES_A_ROW = 24
_NONE = -1


class JoinedMap:
    """The values of the kernel's map by the numbers of the keys."""

    def __init__(self, views: Views, keys: KeyNumbers) -> None:
        table = views.inputs[0]
        assert isinstance(table, InputView)
        self._views, self._keys, self._table = views, keys, table
        self._words, self._first = views.kernel.scratch.words("int64")
        # While code is emitted that goes from number to number, and not from row to row.
        self.by_number = False
        # Whether some entry of the map cannot be read.
        self.is_bad = Cell("int32", 0)
        # How many numbers there are, with 0.
        self.count = T.Bind(keys.count(len(keys.levels) - 1) + 1)

    @contextmanager
    def made(self) -> Iterator[None]:
        """Emit the join; the values stay for the code emitted inside."""
        numeric, scratch = self._views.feature.numeric, self._views.kernel.scratch
        nested = len(self._keys.levels) > 1
        met = T.Bind(self._first + self.count)
        behind = T.Bind(met + self._keys.count(0) + 1) if nested else met
        with T.serial(self.count) as k:
            T.buffer_store(self._words, i64(_NONE), [self._first + k])
        text = self._table.column.text

        def word(value: Piece) -> Any:
            if not numeric:
                return pack(value)
            parsed, valid = parse_number(text, *value, scratch)
            return T.Bind(tirx.Select(valid, T.reinterpret("int64", parsed), i64(NO_NUMBER)))

        with scratch.above(T.Bind(behind << 3)):
            if nested:
                self._join_nested(met, word)
            else:
                self._join(word)
            yield

    def number_of(self, row: Any) -> Any:
        """The number of a row's key."""
        return row if self.by_number else self._keys.of_row(row)

    def keys(self, number: Any) -> list[Key]:
        """The key of a number, level by level."""
        return self._keys.keys(number)

    def number(self, number: Any) -> tuple[Any, Any]:
        """(the value of a key, as a number; whether there is one)."""
        word = T.Bind(self._words[self._first + number])
        valid = tirx.And(word != i64(_NONE), word != i64(NO_NUMBER))
        return T.Bind(T.reinterpret("float64", word)), T.Bind(valid)

    def text(self, number: Any) -> tuple[Any, Piece]:
        """(whether a key has a text, the text)."""
        word = T.Bind(self._words[self._first + number])
        return T.Bind(word != i64(_NONE)), unpack(word)

    def needs_walk(self, number: Any) -> Any:
        """Of a key without a value: whether the map has something in its place."""
        word = self._words[self._first + number]
        no_number = (
            word == i64(NO_NUMBER) if self._views.feature.numeric else tirx.const(False, "bool")
        )
        return T.Bind(tirx.And(number > 0, tirx.Or(no_number, self.is_bad.get() != 0)))

    def _put(self, number: Any, value: Callable[[], Any]) -> None:
        """Of equal keys the first counts."""
        at = T.Bind(self._first + number)
        with T.If(tirx.And(number > i64(0), self._words[at] == i64(_NONE))), T.Then():
            T.buffer_store(self._words, value(), [at])

    def _join(self, word: Callable[[Piece], Any]) -> None:
        level, text = self._keys.levels[0], self._table.column.text

        def pair(key: Piece, value: Piece) -> None:
            number = level.find(i64(0), (text, *key))
            self._put(number, lambda: word(value))

        each_pair(
            self._table, lambda: tirx.const(True, "bool"), pair, lambda piece: self.is_bad.set(1)
        )

    def _join_nested(self, met: Any, word: Callable[[Piece], Any]) -> None:
        """k^k:v,k:v|k^...: a first key that was met before is met in vain."""
        (outer_keys, inner_keys), yes = self._keys.levels, tirx.const(True, "bool")
        view = self._table
        text = view.column.text
        begin, end = view.column.bytes_of(view.first)[0], view.column.bytes_of(view.end)[0]
        with T.serial(self._keys.count(0) + 1) as k:
            T.buffer_store(self._words, i64(0), [met + k])

        def outer(at: Any, size: Any) -> None:
            first, inner = partition(text, (at, size), ord("^"))
            named = T.Bind(tirx.And(first[1] > 0, inner[1] >= 0))
            with T.If(tirx.Not(named)), T.Then():
                self.is_bad.set(1)
            with T.If(named), T.Then():
                number = outer_keys.find(i64(0), (text, *first))
                new = tirx.And(number > i64(0), self._words[met + number] == i64(0))
                with T.If(new), T.Then():
                    T.buffer_store(self._words, i64(1), [met + number])
                    piece = (inner[0], T.Bind(inner[0] + inner[1]), yes)
                    split_text(
                        text, piece, INNER_PARTS, lambda: yes, lambda b, n: pair(number, b, n)
                    )

        def pair(above: Any, at: Any, size: Any) -> None:
            second, value = partition(text, (at, size), ord(":"))
            with T.If(tirx.And(second[1] > 0, value[1] >= 0)):
                with T.Then():
                    number = inner_keys.find(above, (text, *second))
                    self._put(number, lambda: word(value))
                with T.Else():
                    self.is_bad.set(1)

        split_text(text, (begin, end, yes), OUTER_PARTS, lambda: yes, outer)
