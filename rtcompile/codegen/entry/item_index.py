"""The function `item_index`: where items lie by their ids, for whole lists of ids at once.

    def item_index(action, ids, first, words, index):
        if ids != 0: write the list at `ids` as `marshal` does
        look_up_items(action, first, words, index)

    def look_up_items(action, first, words, index):
        for k, id in enumerate(ids):                # a text, or an integer as its digits
            hashes[k], pieces[k] = hash(id), where its text is
            prefetch(slots[hash])
        for k, id in enumerate(ids):
            slot = the one of the id, or the empty one where it would be
            find:    places[k] = value of the slot, or -1
            remove:  the same, and the value becomes -1
            enter:   the value becomes first + k; of a new id, the text is kept

`serve` calls `look_up_items` too, without Python's lock, while another thread may enter and remove
ids. So a new slot's hash is stored last, where its text and place are there to be seen, and a place
where its item is (`SharedTable`). The slots are a probe table (`hash_table.py`); all fetches of
slots are under way before the first is waited for.
`runtime/abi/item_index.py` has the structs.
"""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit.linkage import call_internal
from rtcompile.codegen.emit.structs import Struct, struct_at
from rtcompile.codegen.emit.tir import Cell, i64
from rtcompile.codegen.entry.value_bytes import write_object
from rtcompile.codegen.features.column_writer import copy_text
from rtcompile.codegen.features.format_number import write_digits
from rtcompile.codegen.features.hash_table import hash_keys, pack, unpack
from rtcompile.codegen.features.shared_table import SharedTable, release
from rtcompile.codegen.features.wire_format import HEAD_BYTES, Leaf, Marshalled
from rtcompile.runtime.abi.item_index import (
    DIGITS_BYTES,
    ITEM_INDEX,
    Action,
    IdList,
    IdsOutcome,
    Index,
)

__all__ = ["LOOK_UP_ITEMS", "item_index_main", "look_up_items"]

LOOK_UP_ITEMS = "look_up_items"

_SCALARS = ("action", "first", "words", "index")


def look_up_items() -> Any:
    """The internal PrimFunc `look_up_items(action, first, words, index)`; the ids are written."""
    with IRBuilder() as builder, T.prim_func(private=True, s_tir=True):
        T.func_name(LOOK_UP_ITEMS)
        T.func_attr({"tirx.is_scheduled": True})
        action, first, words_at, index_at = (T.arg(name, T.int64()) for name in _SCALARS)
        given, index = struct_at(IdList, words_at), struct_at(Index, index_at)
        text = given.values(IdList.BEGIN, "uint8")
        reader = Marshalled(text, i64(0))
        count = Cell("int64", i64(0))
        outcome = Cell("int64", i64(IdsOutcome.UNWRITTEN))
        with T.If(given[IdList.WRITTEN] > 0), T.Then():
            count.set(reader.count())
            few = count.get() <= given[IdList.ROOM]
            outcome.set(tirx.Select(few, i64(IdsOutcome.DONE), i64(IdsOutcome.ROOM)))
            texts = T.Bind(index[Index.TEXT_BYTES] + given[IdList.WRITTEN])
            with T.If(tirx.And(action == Action.ENTER, texts > index[Index.TEXT_ROOM])), T.Then():
                outcome.set(i64(IdsOutcome.TEXT))
        given[IdList.COUNT] = count.get()
        with T.If(outcome.get() == IdsOutcome.DONE), T.Then():
            look = _LookUp(reader, given, index, T.Bind(count.get()))
            look.hash_all(outcome)
            with T.If(outcome.get() == IdsOutcome.DONE), T.Then():
                look.look_up_all(action, first)
        given[IdList.OUTCOME] = outcome.get()
    return builder.get()


def item_index_main() -> Any:
    """The public PrimFunc `item_index(action, ids, first, words, index)`."""
    with IRBuilder() as builder, T.prim_func(s_tir=True):
        T.func_name(ITEM_INDEX)
        T.func_attr({"global_symbol": ITEM_INDEX, "tirx.is_scheduled": True, "s_tir": True})
        action, ids = T.arg("action", T.int64()), T.arg("ids", T.int64())
        first, words, index = (T.arg(name, T.int64()) for name in _SCALARS[1:])
        with T.If(ids != 0), T.Then():
            write_object(ids, words)
        call_internal(LOOK_UP_ITEMS, [action, first, words, index])
    return builder.get()


class _LookUp:
    """Of `count` ids, whose list `reader` stands at."""

    def __init__(self, reader: Marshalled, given: Struct, index: Struct, count: Any) -> None:
        self._reader, self._given, self._index, self._count = reader, given, index, count
        slots, last = T.Bind(index[Index.SLOTS]), T.Bind(index[Index.LAST])
        self._table = SharedTable(slots, last, (index, Index.TEXT))
        self._hashes = given.values(IdList.HASHES, "int64")
        # At first, where their texts are.
        self._places = given.values(IdList.PLACES, "int64")
        self._digits = T.Bind(given[IdList.DIGITS])

    def hash_all(self, outcome: Cell) -> None:
        """Emit the hashes and the texts of all ids, or say that some have none."""
        reader, number = self._reader, Cell("int64", i64(0))
        reader.at.set(i64(HEAD_BYTES))
        begin, size = Cell("int64", i64(0)), Cell("int64", i64(0))
        with T.While(tirx.And(number.get() < self._count, outcome.get() == IdsOutcome.DONE)):
            k = T.Bind(number.get())
            truth = reader.is_truth(reader.tag())
            reader.read()
            form = T.Bind(reader.form.get())
            with T.If(form == Leaf.TEXT):
                with T.Then():
                    begin.set(reader.begin.get())
                    size.set(reader.size.get())
                with T.Else(), T.If(tirx.And(form == Leaf.INTEGER, tirx.Not(truth))):
                    with T.Then():
                        begin.set(self._digits + k * DIGITS_BYTES)
                        integer = T.Bind(reader.integer.get())
                        size.set(write_digits(reader.data, T.Bind(begin.get()), integer))
                    with T.Else():
                        outcome.set(i64(IdsOutcome.OTHER))
            piece = (T.Bind(begin.get()), T.Bind(size.get()))
            hashed = hash_keys([(reader.data, *piece)])
            self._table.prefetch(hashed)
            T.buffer_store(self._hashes, hashed, [k])
            T.buffer_store(self._places, pack(piece), [k])
            number.add(i64(1))

    def look_up_all(self, action: Any, first: Any) -> None:
        """Emit what becomes of each id."""
        table, live = self._table, Cell("int64", self._index[Index.LIVE])
        missing = Cell("int64", i64(0))
        with T.If(action == Action.ENTER), T.Then():
            release(self._index, Index.TEXT, T.Bind(self._index[Index.NEW_TEXT]))
        with T.serial(self._count) as k:
            piece = unpack(T.Bind(self._places[k]))
            hashed = T.Bind(self._hashes[k])
            at, held = table.search(hashed, (self._reader.data, *piece))
            place = T.Bind(tirx.Select(held, table.word(at), i64(-1)))
            lacks = T.Bind(tirx.Cast("int64", place < i64(0)))
            with T.If(action == Action.ENTER):
                with T.Then():
                    with T.If(held):
                        with T.Then():
                            table.set_word(at, first + k)
                        with T.Else():
                            self._keep(at, hashed, piece, first + k)
                    live.add(lacks)
                with T.Else():
                    T.buffer_store(self._places, place, [k])
                    missing.add(lacks)
                    with T.If(tirx.And(action == Action.REMOVE, lacks == i64(0))), T.Then():
                        table.set_word(at, i64(-1))
                        live.add(i64(-1))
        with T.If(action != Action.FIND), T.Then():  # which may run beside another
            self._index[Index.LIVE] = live.get()
        self._given[IdList.MISSING] = missing.get()

    def _keep(self, at: Any, hashed: Any, piece: tuple[Any, Any], place: Any) -> None:
        """A new id: its text goes behind the others."""
        end = T.Bind(self._index[Index.TEXT_BYTES])
        copy_text(self._reader.data, *piece, self._table.text_now(), end)
        self._table.enter(at, hashed, (end, piece[1]), place)
        self._index[Index.TEXT_BYTES] = end + piece[1]
