"""The features of a request in `serve`: reading fields, encoding them, the items' columns.

    read:    write_fields(fields, COUNT, NAMES, VALUES)             # Python's lock is held
             of the user's, or of the context's
    hold:    block = *words[STORED]; Py_IncRef(block[OBJECT])       # and here
             columns[places[k]] = block[FIRST + 8 k :]; columns[...][PLACES] = places of the ids
    encode:  encode_values(COUNT, 1, 1, STATE, PLAN, ENCODED...)    # the user's: values
             encode_values(COUNT, rows, 0, STATE, PLAN, ENCODED...) # the context's: lists, arrays
             needed = PER_BYTE * (sizes + LONGEST) + PER_SHARED * size + PER_ROW * rows + FIXED

A request holds the columns of the item table while it runs: an item that is inserted meanwhile may
move them, and the old ones are gone with the last request that holds them.
`runtime/serve_plan.py` describes the words.
"""

from __future__ import annotations

from typing import Any

from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.entry.python_objects import call_python
from rtcompile.codegen.entry.value_bytes import ANY_ROWS, write_fields
from rtcompile.codegen.features.encode_values import ENCODE_VALUES
from rtcompile.codegen.features.tir import Cell, i64
from rtcompile.codegen.internal import call_with_barriers
from rtcompile.codegen.pointers import pointer_to, values_at
from runtime.abi.python_objects import PythonApi
from runtime.abi.value_bytes import ValueBuffer
from runtime.encoded import COLUMN_WORDS
from runtime.encoded import Word as Column
from runtime.scratch import HEADER
from runtime.serve_plan import Features, Outcome, Part, Stored
from runtime.value_plan import State

__all__ = ["RequestFeatures", "release_stored"]

_ENCODED = 6  # arrays of an encoder's memory beside its state


class RequestFeatures:
    """Emits what a stage of features needs. `words`: those of Features."""

    def __init__(self, words: Any) -> None:
        self._words = words

    def read(self, part: int, fields: Any, rows: Any) -> Any:
        """Emit the writing of the fields of a side, if there are any of it; returns whether they
        could be. `part`: Features.USER or CONTEXT. `rows`: values a field of the context."""
        done = Cell("int64", i64(1))
        with T.If(self._words[part + Part.NAMES] != 0), T.Then():
            count, names, values = (
                T.Bind(self._words[part + place]) for place in (Part.COUNT, Part.NAMES, Part.VALUES)
            )
            each = rows if part == Features.CONTEXT else ANY_ROWS
            write_fields(fields, count, names, values, each)
            done.set(values_at(values, "int64")[ValueBuffer.WRITTEN])
        return T.Bind(done.get() != 0)

    def hold(self, block: Any, python: Any, ids_places: Any) -> None:
        """Emit the descriptors of the items' columns. `block`: the address of words of Stored."""
        stored = values_at(block, "int64")
        call_python(T.Bind(python[PythonApi.INC_REF]), T.Bind(stored[Stored.OBJECT]))
        T.buffer_store(self._words, T.Bind(stored[Stored.LONGEST]), [Features.LONGEST])
        columns, places = self._at(Features.COLUMNS), self._at(Features.ITEM_PLACES)
        with T.serial(T.Bind(self._words[Features.ITEMS])) as k:
            first = T.Bind(places[k] * COLUMN_WORDS)
            for word in range(COLUMN_WORDS):
                value = T.Bind(stored[k * COLUMN_WORDS + (Stored.FIRST + word)])
                told = ids_places if word == Column.PLACES else value
                T.buffer_store(columns, told, [first + word])

    def encode(self, rows: Any) -> Any:
        """Emit encoding, and the beginning of the scratch; returns the Outcome."""
        words, outcome = self._words, Cell("int64", i64(Outcome.DONE))
        left = Cell("int64", i64(0))
        user = self._encode_part(Features.USER, i64(1), True, left)
        context = self._encode_part(Features.CONTEXT, rows, False, left)
        needed = T.Bind(
            words[Features.PER_BYTE] * (user + context + words[Features.LONGEST])
            + words[Features.PER_SHARED] * user
            + words[Features.PER_ROW] * rows
            + words[Features.FIXED]
        )
        T.buffer_store(words, needed, [Features.NEEDED])
        with T.If(needed > words[Features.SCRATCH_BYTES]), T.Then():
            outcome.set(i64(Outcome.SCRATCH))
        with T.If(left.get() != 0), T.Then():
            outcome.set(i64(Outcome.LEFT))
        scratch = T.decl_buffer((1,), "int64", data=self.pointer(Features.SCRATCH))
        T.buffer_store(scratch, i64(HEADER), [0])
        return T.Bind(outcome.get())

    def _encode_part(self, part: int, rows: Any, single: bool, left: Cell) -> Any:
        """Emit the encoding of a side's columns; returns the size, and says in `left` if some were
        left."""
        words, size = self._words, Cell("int64", i64(0))
        with T.If(words[part + Part.COUNT] != 0), T.Then():
            state = self.pointer(part + Part.STATE)
            encoded = [self.pointer(part + Part.ENCODED + k) for k in range(_ENCODED)]
            how = [T.Bind(words[part + Part.COUNT]), rows, i64(int(single))]
            plan = self.pointer(part + Part.PLAN)
            call_with_barriers(ENCODE_VALUES, [*how, state, plan, *encoded])
            told = T.decl_buffer((State.FLAGS,), "int64", data=state)
            size.set(told[State.SIZE])
            left.set(left.get() | told[State.LEFT])
        return T.Bind(size.get())

    def pointer(self, place: int) -> Any:
        """The address in a word."""
        return pointer_to(T.Bind(self._words[place]))

    def _at(self, place: int) -> Any:
        return values_at(T.Bind(self._words[place]), "int64")


def release_stored(block: Any, python: Any) -> None:
    """Emit that the request is done with what `hold` has held, unless that is 0."""
    with T.If(block != 0), T.Then():
        stored = values_at(block, "int64")
        call_python(T.Bind(python[PythonApi.DEC_REF]), T.Bind(stored[Stored.OBJECT]))
