"""The features of a request in `serve`: reading fields, encoding them, the items' columns.

    read:    write_fields(fields, COUNT, NAMES, VALUES)             # Python's lock is held
             of the user's, or of the context's
    hold:    block = *request[STORED]; Py_IncRef(block[OBJECT])     # and here
             columns[places[k]] = block[COLUMNS][k]; columns[...][PLACES] = places of the ids
    encode:  encode_values(COUNT, 1, 1, STATE, PLAN, ENCODED...)    # the user's: values
             encode_values(COUNT, rows, 0, STATE, PLAN, ENCODED...) # the context's: lists, arrays
             needed = PER_BYTE * (sizes + LONGEST) + PER_SHARED * size + PER_ROW * rows + FIXED

A request holds the columns of the item table while it runs: an item that is inserted meanwhile may
move them, and the old ones are gone with the last request that holds them.
`runtime/abi/serve_features.py` describes the structs.
"""

from __future__ import annotations

from typing import Any

from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit.linkage import call_with_barriers
from rtcompile.codegen.emit.structs import Struct, field_at, struct_at
from rtcompile.codegen.emit.tir import Cell, i64
from rtcompile.codegen.entry.encode_values import ENCODE_VALUES
from rtcompile.codegen.entry.python_objects import call_python
from rtcompile.codegen.entry.value_bytes import ANY_ROWS, write_fields
from rtcompile.runtime.abi.encode_values import EncodeState
from rtcompile.runtime.abi.encoded import ColumnDescriptor
from rtcompile.runtime.abi.layout import Field
from rtcompile.runtime.abi.python_objects import PythonApi
from rtcompile.runtime.abi.scratch import HEADER_BYTES, ScratchHeader
from rtcompile.runtime.abi.serve import Outcome
from rtcompile.runtime.abi.serve_features import SideColumns, StageFeatures, StoredDescriptors
from rtcompile.runtime.abi.value_bytes import ValueBuffer

__all__ = ["RequestFeatures", "release_stored"]

# The memory of an encoder beside its state, as `encode_values` takes it.
_ENCODED = (
    *(SideColumns.DATA, SideColumns.COLUMNS, SideColumns.EDGES),
    *(SideColumns.OFFSETS, SideColumns.NUMBERS, SideColumns.TEXT),
)


class RequestFeatures:
    """Emits what a stage of features needs."""

    def __init__(self, features: Struct) -> None:
        self._features = features

    def read(self, side: Field, fields: Any, rows: Any) -> Any:
        """Emit the writing of the fields of a side, if there are any of it; returns whether they
        could be. `side`: StageFeatures.USER or CONTEXT. `rows`: values a field of the context."""
        done, columns = Cell("int64", i64(1)), self._features.inner(side)
        with T.If(columns[SideColumns.NAMES] != 0), T.Then():
            count, names, values = (
                T.Bind(columns[field])
                for field in (SideColumns.COUNT, SideColumns.NAMES, SideColumns.VALUES)
            )
            each = rows if side == StageFeatures.CONTEXT else ANY_ROWS
            write_fields(fields, count, names, values, each)
            done.set(field_at(values, ValueBuffer.WRITTEN))
        return T.Bind(done.get() != 0)

    def hold(self, block: Any, python: Struct, ids_places: Any) -> None:
        """Emit the descriptors of the items' columns. `block`: the address of a
        StoredDescriptors."""
        stored, features = struct_at(StoredDescriptors, block), self._features
        hold = T.Bind(python[PythonApi.INC_REF])
        call_python(hold, T.Bind(stored[StoredDescriptors.OBJECT]))
        features[StageFeatures.LONGEST] = T.Bind(stored[StoredDescriptors.LONGEST])
        columns = features.values(StageFeatures.COLUMNS, "int64")
        places = features.values(StageFeatures.ITEM_PLACES, "int64")
        with T.serial(T.Bind(features[StageFeatures.ITEMS])) as k:
            first = T.Bind(places[k] * ColumnDescriptor.WORDS)
            descriptor = Struct(ColumnDescriptor, columns, first)
            given = stored.inner(StoredDescriptors.COLUMNS, k)
            for field in ColumnDescriptor.FIELDS:
                value = T.Bind(given[field])
                descriptor[field] = ids_places if field == ColumnDescriptor.PLACES else value

    def encode(self, rows: Any) -> Any:
        """Emit encoding, and the beginning of the scratch; returns the Outcome."""
        features, outcome = self._features, Cell("int64", i64(Outcome.DONE))
        left = Cell("int64", i64(0))
        user = self._encode_side(StageFeatures.USER, i64(1), True, left)
        context = self._encode_side(StageFeatures.CONTEXT, rows, False, left)
        needed = T.Bind(
            features[StageFeatures.PER_BYTE] * (user + context + features[StageFeatures.LONGEST])
            + features[StageFeatures.PER_SHARED] * user
            + features[StageFeatures.PER_ROW] * rows
            + features[StageFeatures.FIXED]
        )
        features[StageFeatures.NEEDED] = needed
        with T.If(needed > features[StageFeatures.SCRATCH_BYTES]), T.Then():
            outcome.set(i64(Outcome.SCRATCH))
        with T.If(left.get() != 0), T.Then():
            outcome.set(i64(Outcome.LEFT))
        at = self.pointer(StageFeatures.SCRATCH)
        scratch = Struct(ScratchHeader, T.decl_buffer((1,), "int64", data=at))
        scratch[ScratchHeader.TOP] = i64(HEADER_BYTES)
        return T.Bind(outcome.get())

    def _encode_side(self, side: Field, rows: Any, single: bool, left: Cell) -> Any:
        """Emit the encoding of a side's columns; returns the size, and says in `left` if some were
        left."""
        columns, size = self._features.inner(side), Cell("int64", i64(0))
        with T.If(columns[SideColumns.COUNT] != 0), T.Then():
            state = columns.pointer(SideColumns.STATE)
            encoded = [columns.pointer(field) for field in _ENCODED]
            how = [T.Bind(columns[SideColumns.COUNT]), rows, i64(int(single))]
            plan = columns.pointer(SideColumns.PLAN)
            call_with_barriers(ENCODE_VALUES, [*how, state, plan, *encoded])
            words = T.decl_buffer((EncodeState.WORDS,), "int64", data=state)
            told = Struct(EncodeState, words)
            size.set(told[EncodeState.SIZE])
            left.set(left.get() | told[EncodeState.LEFT])
        return T.Bind(size.get())

    def pointer(self, field: Field) -> Any:
        """The address in a field."""
        return self._features.pointer(field)


def release_stored(block: Any, python: Struct) -> None:
    """Emit that the request is done with what `hold` has held, unless that is 0."""
    with T.If(block != 0), T.Then():
        stored = struct_at(StoredDescriptors, block)
        let_go = T.Bind(python[PythonApi.DEC_REF])
        call_python(let_go, T.Bind(stored[StoredDescriptors.OBJECT]))
