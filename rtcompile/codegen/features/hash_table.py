"""The probe table of a map that all rows share: made once a request, then asked for each key.

An open-addressing table in the scratch, at most half full. Its slots are those of
`runtime/abi/item_index.py`. The value of one is a piece of the map's text, as the keys are; or a
float64, parsed while the table is made. A map of one level has no second key. Of equal keys the
first counts. The descriptor of the map's column says where the table is and how large: ROWS is its
address, NUMBERS the last slot. PLACES is 1 where an entry of the map cannot be read, else 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit.pointers import ANY, prefetch, values_at
from rtcompile.codegen.emit.structs import Struct
from rtcompile.codegen.emit.tir import Cell, i64
from rtcompile.codegen.features.bucketize import compare_bytes
from rtcompile.codegen.features.dictionary_header import KeyHeader
from rtcompile.codegen.features.encoded import EncodedColumn
from rtcompile.codegen.features.inputs import InputView
from rtcompile.codegen.features.map_parts import (
    INNER_PARTS,
    OUTER_PARTS,
    each_pair,
    partition,
)
from rtcompile.codegen.features.parse_number import parse_number
from rtcompile.codegen.features.scratch import Scratch
from rtcompile.codegen.features.table_hash import mixed, quick_hash
from rtcompile.codegen.features.tokens import split_text
from rtcompile.runtime.abi.encoded import ColumnDescriptor, Mode
from rtcompile.runtime.abi.item_index import Slot

__all__ = [
    "MOST_BYTES_A_VALUE",
    "NO_NUMBER",
    "TABLE_KINDS",
    "Key",
    "Piece",
    "ProbeTable",
    "Searched",
    "hash_keys",
    "pack",
    "table_kernel",
    "table_kernel_name",
    "unpack",
]

# A table has less than 4 slots an entry, and at most an entry a value, or a separator, or a column.
MOST_BYTES_A_VALUE = 4 * 8 * Slot.WORDS
TABLE_KINDS = ("map", "map_number", "nested_text", "nested_number")

# The bits of a NaN that no text spells: the value is no number.
NO_NUMBER = 0x7FF8000000000001
_SEPARATOR, _COMMA = 0x1D, ord(",")

Key = tuple[Any, Any, Any]  # (text, begin, size)
Piece = tuple[Any, Any]  # (begin, size)


def pack(piece: Piece) -> Any:
    """A piece of a text as one word."""
    return T.Bind((piece[0] << 32) | piece[1])


def unpack(word: Any) -> Piece:
    """The reverse of `pack`."""
    return T.Bind(word >> 32), T.Bind(word & i64((1 << 32) - 1))


class Searched:
    """A table, while it is asked. `text`: that of the keys."""

    def __init__(self, address: Any, last: Any, text: Any) -> None:
        self._words = values_at(address, "int64")
        self._last, self._text = last, text

    def search(self, hashed: Any, *keys: Key) -> tuple[Any, Any]:
        """(the first word of the slot that has the keys, or of the empty one where they would be;
        whether the slot has them)."""
        slot = Cell("int64", hashed & self._last)
        found, held = Cell("int64", i64(-1)), Cell("int32", 0)
        with T.While(found.get() < 0):
            at = T.Bind(slot.get() * Slot.WORDS)
            here = self._hash_at(at)
            with T.If(here == i64(0)), T.Then():
                found.set(at)
            with T.If(here == hashed), T.Then():
                different = Cell("uint64", tirx.const(0, "uint64"))
                for place, (text, begin, size) in enumerate(keys):
                    first, length = unpack(self.slot(at)[Slot.KEYS.at(place)])
                    with T.If(length == size):
                        with T.Then():
                            compare_bytes(different, (self.text_now(), first), (text, begin), size)
                        with T.Else():
                            different.set(tirx.const(1, "uint64"))
                with T.If(different.get() == tirx.const(0, "uint64")), T.Then():
                    found.set(at)
                    held.set(1)
            slot.set((slot.get() + 1) & self._last)
        return T.Bind(found.get()), T.Bind(held.get() != 0)

    def text_now(self) -> Any:
        """That of the keys."""
        return self._text

    def word(self, at: Any) -> Any:
        """The value of a slot that is taken."""
        return T.Bind(self.slot(at)[Slot.VALUE])

    def set_word(self, at: Any, word: Any) -> None:
        """Change it."""
        self.slot(at)[Slot.VALUE] = word

    def prefetch(self, hashed: Any) -> None:
        """Fetch the slot where the search for a hash begins; nothing waits for it."""
        prefetch(self._words, (hashed & self._last) * Slot.WORDS)

    def slot(self, at: Any) -> Struct:
        """That which begins at a word."""
        return Struct(Slot, self._words, at)

    def _hash_at(self, at: Any) -> Any:
        return T.Bind(self.slot(at)[Slot.HASH])

    def _set_keys(self, at: Any, keys: tuple[Piece, ...]) -> None:
        for place, key in enumerate(keys):
            self.slot(at)[Slot.KEYS.at(place)] = pack(key)


class ProbeTable(Searched):
    """A table that one thread makes and asks. `text`: the map's."""

    @staticmethod
    def of(view: InputView) -> tuple[Any, ProbeTable]:
        """(whether the map's column has one, the table)."""
        column = view.column
        shared = tirx.And(column.mode == i64(Mode.ONE), column.table_address != i64(0))
        return T.Bind(shared), ProbeTable(column.table_address, column.table_last, column.text)

    def find(self, *keys: Key) -> Any:
        """The first word of the slot that has the keys, or of the empty one where they would be."""
        return self.search(hash_keys(keys), *keys)[0]

    def holds(self, at: Any) -> Any:
        """Whether a slot is taken."""
        return T.Bind(self.slot(at)[Slot.HASH] != i64(0))

    def text(self, at: Any) -> Piece:
        """The value of a slot, as text; nothing where the slot is empty."""
        return unpack(T.Bind(tirx.Select(self.holds(at), self.slot(at)[Slot.VALUE], i64(0))))

    def number(self, at: Any) -> tuple[Any, Any]:
        """(the value of a slot as a number, whether it is one)."""
        word = T.Bind(self.slot(at)[Slot.VALUE])
        valid = T.Bind(tirx.And(self.holds(at), word != i64(NO_NUMBER)))
        return T.Bind(T.reinterpret("float64", word)), valid

    def insert(self, keys: tuple[Piece, ...], value: Any) -> None:
        """Put a value under its keys, unless they are there. `value`: a callable for its word."""
        named = tuple((self._text, *key) for key in keys)
        hashed = hash_keys(named)
        at, _ = self.search(hashed, *named)
        with T.If(tirx.Not(self.holds(at))), T.Then():
            self.slot(at)[Slot.HASH] = hashed
            self._set_keys(at, keys)
            self.set_word(at, value())

    def clear(self) -> None:
        """Empty every slot."""
        with T.serial(T.Bind(self._last + 1)) as k:
            self.slot(k * Slot.WORDS)[Slot.HASH] = i64(0)


def hash_keys(keys: Sequence[Key]) -> Any:
    """Of one key or two; never 0."""
    hashed = quick_hash(*keys[0])
    for key in keys[1:]:
        hashed = mixed(hashed, quick_hash(*key))
    return T.Bind(T.reinterpret("int64", hashed | tirx.const(1, "uint64")))


# -- making ---------------------------------------------------------------------------------


def table_kernel_name(kind: str) -> str:
    """One kernel a kind."""
    return f"probe_table_{kind}"


def table_kernel(kind: str) -> Any:
    """A PrimFunc (columns*, scratch*, headers*, rows, column, groups): a column's table.

    It does nothing where each row has a map of its own, nor where `groups` is above 0 and as many
    groups of keys, whose headers these are, are all numbered: then nobody reads the table.
    """
    with IRBuilder() as builder, T.prim_func(private=True, s_tir=True):
        T.func_name(table_kernel_name(kind))
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True})
        columns_at = T.arg("columns", T.handle("int64"))
        scratch_at = T.arg("s", T.handle("uint8"))
        headers_at = T.arg("headers", T.handle("int64"))
        T.arg("rows", T.int64())
        number, groups = T.arg("column", T.int64()), T.arg("groups", T.int64())
        scratch = Scratch(scratch_at)
        columns = T.decl_buffer((ANY,), "int64", data=columns_at)
        view = InputView(EncodedColumn(columns, number, i64(0)), False, False)
        headers = T.decl_buffer((ANY,), "int64", data=headers_at)
        read = Cell("int32", tirx.Cast("int32", groups == i64(0)))
        with T.serial(groups) as group:
            header = Struct(KeyHeader, headers, group * KeyHeader.WORDS)
            numbered = header[KeyHeader.NUMBERED] != i64(0)
            with T.If(tirx.Not(numbered)), T.Then():
                read.set(1)
        with T.If(tirx.And(view.column.mode == i64(Mode.ONE), read.get() != 0)), T.Then():
            view.at_row(i64(0))
            _make(kind, view, columns, number, scratch)
    return builder.get()


def _make(kind: str, view: InputView, columns: Any, number: Any, scratch: Scratch) -> None:
    pairs = _most_pairs(kind, view)
    bits = T.call_llvm_pure_intrin("int64", "llvm.ctlz", pairs * 2, tirx.const(False, "bool"))
    slots = T.Bind(i64(1) << (i64(64) - T.Bind(bits)))
    address, last = scratch.reserve(slots * (8 * Slot.WORDS)), T.Bind(slots - 1)
    first = T.Bind(number * i64(ColumnDescriptor.WORDS))
    descriptor = Struct(ColumnDescriptor, columns, first)
    descriptor[ColumnDescriptor.ROWS] = address
    descriptor[ColumnDescriptor.NUMBERS] = last
    table = ProbeTable(address, last, view.column.text)
    table.clear()
    numeric = kind.endswith("number")

    def word(value: Piece) -> Any:
        if not numeric:
            return pack(value)
        parsed, valid = parse_number(view.column.text, *value, scratch)
        return T.Bind(tirx.Select(valid, T.reinterpret("int64", parsed), i64(NO_NUMBER)))

    bad = Cell("int64", i64(0))
    if kind.startswith("map"):
        each_pair(
            view,
            lambda: tirx.const(True, "bool"),
            lambda key, value: table.insert((key,), lambda: word(value)),
            lambda piece: bad.set(i64(1)),
        )
    else:
        _nested(view, table, word, bad)
    descriptor[ColumnDescriptor.PLACES] = bad.get()


def _most_pairs(kind: str, view: InputView) -> Any:
    """At least the entries that the table will have: one, and one a separator."""
    begin = view.column.bytes_of(view.first)[0]
    end = view.column.bytes_of(view.end)[0]
    count = Cell("int64", view.end - view.first + 1)
    nested = (_COMMA, _SEPARATOR, ord("|"), ord("^"))
    separators = (_SEPARATOR,) if kind.startswith("map") else nested
    with T.serial(T.Bind(end - begin)) as k:
        byte = T.Bind(view.column.text[begin + k])
        for separator in separators:
            count.add(tirx.Cast("int64", byte == tirx.const(separator, "uint8")))
    return T.Bind(count.get())


def _nested(view: InputView, table: ProbeTable, word: Any, bad: Cell) -> None:
    """k^k:v,k:v|k^...: a first key that was met before is met in vain."""
    text, yes = view.column.text, tirx.const(True, "bool")
    begin, end = view.column.bytes_of(view.first)[0], view.column.bytes_of(view.end)[0]

    def outer(at: Any, size: Any) -> None:
        first, inner = partition(text, (at, size), ord("^"))
        nothing = (first[0], i64(0))
        named = tirx.And(first[1] > 0, inner[1] >= 0)
        met = table.holds(table.find((text, *first), (text, *nothing)))
        with T.If(tirx.Not(named)), T.Then():
            bad.set(i64(1))
        with T.If(tirx.And(named, tirx.Not(met))), T.Then():
            # An entry without a second key says that the first was met.
            table.insert((first, nothing), lambda: i64(0))
            piece = (inner[0], T.Bind(inner[0] + inner[1]), yes)
            split_text(text, piece, INNER_PARTS, lambda: yes, lambda b, n: pair(first, b, n))

    def pair(first: Piece, at: Any, size: Any) -> None:
        second, value = partition(text, (at, size), ord(":"))
        with T.If(tirx.And(second[1] > 0, value[1] >= 0)):
            with T.Then():
                table.insert((first, second), lambda: word(value))
            with T.Else():
                bad.set(i64(1))

    split_text(text, (begin, end, yes), OUTER_PARTS, lambda: yes, outer)
