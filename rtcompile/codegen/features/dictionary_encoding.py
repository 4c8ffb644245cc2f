"""The keys of look-ups, numbered once a call for all features that look the same up.

    for i in range(rows):                          # of the whole call, before the feature kernels
        one token in each key column:   numbers[i] = its key's number; 1 for the first that is met
        none in one of them:            numbers[i] = 0
        more, in any row:               nothing is numbered: each feature splits and hashes

A level of keys is a dictionary: an open-addressing table, at most a quarter full, of words

    upper half of the key's hash, number of the key       0 for an empty slot

and for each number two words: the number of the key of the level above, 0 where there is none, and
(first byte << 32) + size in the key column's text. Features share keys where their key columns and
separators are the same. The header, `dictionary_header.py`, says where all of it lies in the
scratch.
"""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit.pointers import ANY, values_at
from rtcompile.codegen.emit.structs import Struct
from rtcompile.codegen.emit.tir import (
    Cell,
    add,
    i64,
    multiply,
    u64,
)
from rtcompile.codegen.features.bucketize import compare_bytes
from rtcompile.codegen.features.dictionary_header import KeyHeader, LevelHeader
from rtcompile.codegen.features.encoded import EncodedColumn
from rtcompile.codegen.features.hash_table import Key, pack, unpack
from rtcompile.codegen.features.inputs import InputView, Views
from rtcompile.codegen.features.scratch import Scratch
from rtcompile.codegen.features.table_hash import quick_hash
from rtcompile.codegen.features.tokens import Separator, each_token
from rtcompile.features.operators import Lookup, Match
from rtcompile.features.plan import Feature
from rtcompile.runtime.encoding.raw_values import VALUE_SEPARATOR

__all__ = [
    "KeyLevel",
    "KeyNumbers",
    "bytes_a_row",
    "has_key_numbers",
    "key_numbers_kernel",
    "key_numbers_kernel_name",
]

_LOW = (1 << 32) - 1
_OUTER = 0x9E3779B97F4A7C15


def bytes_a_row(levels: int) -> int:
    """Scratch of a group for each row of a call, and for two more: at most 8 slots a row."""
    return 16 + levels * (8 * 8 + 2 * 8)


def has_key_numbers(feature: Feature) -> bool:
    """Whether its kernel reads them: a look-up of exact keys that are raw columns, a row each."""
    operator = feature.operator
    exact = isinstance(operator, Lookup) or (isinstance(operator, Match) and not operator.wild)
    raw = not any(isinstance(read, Feature) for read in feature.inputs)
    return exact and raw and feature.sequence is None


class KeyLevel:
    """One level's dictionary. `text`: that of the key column."""

    def __init__(self, slots: Any, last: Any, keys: Any, text: Any) -> None:
        self._slots, self._keys = values_at(slots, "int64"), values_at(keys, "int64")
        self._last = last
        self._text = text

    @staticmethod
    def of(header: Struct, level: int, text: Any) -> KeyLevel:
        """That of a header, numbered before."""
        words = header.inner(KeyHeader.LEVELS, level)
        fields = LevelHeader.SLOTS, LevelHeader.LAST, LevelHeader.KEYS
        slots, last, keys = (T.Bind(words[field]) for field in fields)
        return KeyLevel(slots, last, keys, text)

    def find(self, outer: Any, key: Key) -> Any:
        """The number of a key under that of its outer key; 0 where it has none."""
        return self._find(self._hash(outer, key), outer, key)[0]

    def number(self, outer: Any, key: Key, count: Cell) -> Any:
        """`find`; a key that has none gets the next."""
        hashed = self._hash(outer, key)
        known, slot = self._find(hashed, outer, key)
        number = Cell("int64", known)
        with T.If(known == i64(0)), T.Then():
            count.add(1)
            number.set(count.get())
            T.buffer_store(self._slots, (hashed & i64(-1 - _LOW)) | number.get(), [slot])
            at = T.Bind(number.get() * 2)
            T.buffer_store(self._keys, outer, [at])
            T.buffer_store(self._keys, pack(key[1:]), [at + 1])
        return T.Bind(number.get())

    def key(self, number: Any) -> tuple[Any, Key]:
        """(the number of its outer key, the key)."""
        outer = T.Bind(self._keys[number * 2])
        return outer, (self._text, *unpack(T.Bind(self._keys[number * 2 + 1])))

    def clear(self) -> None:
        """Empty every slot."""
        with T.serial(T.Bind(self._last + 1)) as k:
            T.buffer_store(self._slots, i64(0), [k])

    def _hash(self, outer: Any, key: Key) -> Any:
        spread = multiply(tirx.Cast("uint64", outer), u64(_OUTER))
        return T.Bind(T.reinterpret("int64", add(quick_hash(*key), spread)))

    def _find(self, hashed: Any, outer: Any, key: Key) -> tuple[Any, Any]:
        """(number, slot where it is, or where it would be)."""
        text, begin, size = key
        slot, number = Cell("int64", hashed & self._last), Cell("int64", i64(-1))
        with T.While(number.get() < 0):
            word = T.Bind(self._slots[slot.get()])
            with T.If(word == i64(0)), T.Then():
                number.set(i64(0))
            with T.If(tirx.And(word != i64(0), ((word ^ hashed) >> 32) == i64(0))), T.Then():
                known = T.Bind(word & i64(_LOW))
                above, (_, first, length) = self.key(known)
                with T.If(tirx.And(length == size, above == outer)), T.Then():
                    different = Cell("uint64", u64(0))
                    compare_bytes(different, (self._text, first), (text, begin), size)
                    with T.If(different.get() == u64(0)), T.Then():
                        number.set(known)
            with T.If(number.get() < 0), T.Then():
                slot.set((slot.get() + 1) & self._last)
        return T.Bind(number.get()), T.Bind(slot.get())


# -- making ---------------------------------------------------------------------------------


def key_numbers_kernel_name(count: int, both: bool) -> str:
    """One kernel for one key, one for two, each for one separator or for `both`."""
    return f"key_numbers_{count}{'_both' if both else ''}"


def key_numbers_kernel(count: int, both: bool) -> Any:
    """A PrimFunc (columns*, scratch*, header*, rows, start, separator, column...).

    `both`: the separator of all values splits a key's text too.
    """
    with IRBuilder() as builder, T.prim_func(private=True, s_tir=True):
        T.func_name(key_numbers_kernel_name(count, both))
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True})
        columns_at = T.arg("columns", T.handle("int64"))
        scratch_at = T.arg("s", T.handle("uint8"))
        header_at = T.arg("header", T.handle("int64"))
        rows, start = T.arg("rows", T.int64()), T.arg("start", T.int64())
        byte = T.arg("separator", T.int64())
        separator = Separator(byte, VALUE_SEPARATOR[0] if both else None)
        places = [T.arg(f"column_{k}", T.int64()) for k in range(count)]
        columns = T.decl_buffer((ANY,), "int64", data=columns_at)
        words = T.decl_buffer((KeyHeader.WORDS,), "int64", data=header_at)
        header = Struct(KeyHeader, words)
        views = [InputView(EncodedColumn(columns, n, start), False, False) for n in places]
        scratch = Scratch(scratch_at)
        numbers = scratch.reserve(T.Bind(rows * 8))
        header[KeyHeader.NUMBERS] = numbers
        rows_of = _rows_of(header, rows, scratch)
        header[KeyHeader.NUMBERED] = i64(1)
        levels = [_level(header, k, rows, scratch, view) for k, view in enumerate(views)]
        counts = [Cell("int64", i64(0)) for _ in views]
        out = values_at(numbers, "int64")
        with T.serial(rows) as i:
            number = _row(header, i, views, separator, levels, counts)
            T.buffer_store(out, number, [i])
            T.buffer_store(rows_of, rows_of[number] + 1, [number])
        for k, met in enumerate(counts):
            header.inner(KeyHeader.LEVELS, k)[LevelHeader.COUNT] = met.get()
    return builder.get()


def _rows_of(header: Struct, rows: Any, scratch: Scratch) -> Any:
    """Room for the rows of each key: none so far."""
    at = scratch.reserve(T.Bind((rows + 1) * 8))
    header[KeyHeader.ROWS_OF] = at
    found = values_at(at, "int64")
    with T.serial(rows + 1) as k:
        T.buffer_store(found, i64(0), [k])
    return found


def _level(header: Struct, level: int, rows: Any, scratch: Scratch, view: InputView) -> KeyLevel:
    bits = T.call_llvm_pure_intrin("int64", "llvm.ctlz", rows * 4, tirx.const(False, "bool"))
    slots = T.Bind(i64(1) << (i64(64) - T.Bind(bits)))
    at, last = scratch.reserve(T.Bind(slots * 8)), T.Bind(slots - 1)
    keys = scratch.reserve(T.Bind((rows + 1) * 16))
    words = header.inner(KeyHeader.LEVELS, level)
    words[LevelHeader.SLOTS], words[LevelHeader.LAST], words[LevelHeader.KEYS] = at, last, keys
    made = KeyLevel(at, last, keys, view.column.text)
    made.clear()
    return made


def _row(
    header: Struct,
    row: Any,
    views: list[InputView],
    separator: Separator,
    levels: list[KeyLevel],
    counts: list[Cell],
) -> Any:
    """The number of a row's key."""
    number = Cell("int64", i64(0))
    for place, (view, level, count) in enumerate(zip(views, levels, counts, strict=True)):
        view.at_row(row)
        begin, size, tokens = (Cell("int64", i64(0)) for _ in range(3))
        _first_token(view, separator, begin, size, tokens)
        with T.If(tokens.get() > 1), T.Then():
            header[KeyHeader.NUMBERED] = i64(0)
        outer = T.Bind(number.get())
        number.set(i64(0))
        reached = tirx.const(True, "bool") if place == 0 else outer != i64(0)
        with T.If(tirx.And(tokens.get() == 1, reached)), T.Then():
            key = (view.column.text, T.Bind(begin.get()), T.Bind(size.get()))
            number.set(level.number(outer, key, count))
    return T.Bind(number.get())


def _first_token(
    view: InputView, separator: Separator, begin: Cell, size: Cell, count: Cell
) -> None:
    """A token, and how many there are, at most two."""

    def token(value: Any, at: Any, length: Any) -> None:
        begin.set(at)
        size.set(length)
        count.add(1)

    each_token(view, separator, lambda: count.get() < 2, token)


# -- reading --------------------------------------------------------------------------------


class KeyNumbers:
    """The numbered keys, in a feature kernel."""

    def __init__(self, views: Views) -> None:
        words = views.kernel.key_numbers
        self._header = header = Struct(KeyHeader, words)
        self.numbered = T.Bind(header[KeyHeader.NUMBERED] != i64(0))
        self._numbers = header.values(KeyHeader.NUMBERS, "int64")
        self._rows_of = header.values(KeyHeader.ROWS_OF, "int64")
        reads = [read for read in views.inputs[1:] if isinstance(read, InputView)]
        self.levels = [KeyLevel.of(header, k, r.column.text) for k, r in enumerate(reads)]

    def count(self, level: int) -> Any:
        """How many keys a level has: their numbers are 1 and so on."""
        return T.Bind(self._header.inner(KeyHeader.LEVELS, level)[LevelHeader.COUNT])

    def of_row(self, row: Any) -> Any:
        """The number of a row's key."""
        return T.Bind(self._numbers[row])

    def rows_of(self, number: Any) -> Any:
        """How many rows have a key; 0 is the number of none."""
        return self._rows_of[number]

    def first_row(self, number: Any) -> Any:
        """The first row that has a key, which some row has."""
        row = Cell("int64", i64(0))
        with T.While(self._numbers[row.get()] != number):
            row.add(1)
        return T.Bind(row.get())

    def keys(self, number: Any) -> list[Key]:
        """The key of a number, level by level."""
        found: list[Key] = []
        for level in reversed(self.levels):
            number, key = level.key(number)
            found.insert(0, key)
        return found
