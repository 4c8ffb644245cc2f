"""Encode a request's raw columns in compiled code; `abi/encode_values.py` has what it is told.

The values are first written side by side (`value_bytes.py`). Columns that the compiled code leaves,
for the types in them, and all columns of a request with a value that cannot be written, are encoded
by `encode.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from rtcompile.runtime.abi.encode_values import EncodeState, Plan
from rtcompile.runtime.abi.encoded import ColumnDescriptor, Mode
from rtcompile.runtime.abi.serve_features import SideColumns
from rtcompile.runtime.encoding.column_plan import plan_row
from rtcompile.runtime.encoding.column_spec import ColumnSpec
from rtcompile.runtime.encoding.encode import Columns, Encoder
from rtcompile.runtime.encoding.encoded import Encoded
from rtcompile.runtime.encoding.unparsed import UnparsedValues
from rtcompile.runtime.encoding.value_bytes import FORMAT_IS_KNOWN, ValueBytes, ValueWriter
from rtcompile.runtime.ffi import tvm_ffi
from rtcompile.runtime.memory.arrays import align, aligned_empty
from rtcompile.runtime.memory.input_table import address
from rtcompile.runtime.memory.struct_memory import allocate

__all__ = [
    "BOUND",
    "ROW_BOUND",
    "SHARED",
    "SMALLEST",
    "ColumnSet",
    "CompiledEncoder",
    "EncodeMemory",
]

SMALLEST = 1 << 13  # bytes of the values that there is room for at first
# What a column without values counts in `Encoded.bound`, and in `Encoded.shared`.
BOUND, SHARED = ColumnDescriptor.WORDS + 3, 4
ROW_BOUND = ColumnDescriptor.WORDS + 2  # the first of many rows, and one more for each
_PADDING = 128  # what is read and written behind the last value
_MOST_SETS = 32  # of columns that encoders are kept for

# The parts of what is encoded into, in the order in which they lie.
_PARTS = (EncodeState.EDGES, EncodeState.OFFSETS, EncodeState.NUMBERS, EncodeState.TEXT)
_SIDE_PARTS = (SideColumns.EDGES, SideColumns.OFFSETS, SideColumns.NUMBERS, SideColumns.TEXT)


class EncodeMemory:
    """What one running call encodes into, used again by the next. `values`: of its values.

    `columns`: how many, or the memory of their descriptors. `state`: of an EncodeState; `flags`:
    its. `pointers`: where it encodes, by the fields of SideColumns.
    """

    def __init__(self, columns: int | npt.NDArray[np.int64], values: ValueBytes) -> None:
        self.values, capacity = values, values.capacity
        if isinstance(columns, int):
            columns = aligned_empty(ColumnDescriptor.WORDS * columns, "int64")
            columns[:] = 0
        self.columns, count = columns, len(columns) // ColumnDescriptor.WORDS
        # Each byte of the values makes at most so many edges and texts (of an array of delimiters,
        # one byte each), numbers, and five bytes (of float32 as digits).
        counts = (4 * capacity + 2 * count, 2 * capacity, capacity)
        sizes = [align(8 * count + _PADDING) for count in counts]
        block = aligned_empty(sum(sizes) + 5 * capacity + _PADDING, "uint8")
        base = block.__array_interface__["data"][0]
        ends = np.cumsum([0, *sizes]).tolist()
        parts = [block[begin:end] for begin, end in zip(ends, [*ends[1:], None], strict=True)]
        edges, offsets, numbers, text = parts
        at = [base + end for end in ends]
        state = allocate(EncodeState, count, dict(zip(_PARTS, at, strict=True)))
        self.state, self.state_pointer = state.words, state.address
        self.flags = state.array[EncodeState.FLAGS.slice(count)].data
        self.pointers = {
            SideColumns.DATA: values.pointer,
            SideColumns.COLUMNS: address(self.columns),
        }
        self.pointers |= dict(zip(_SIDE_PARTS, at, strict=True))
        arrays = (
            values.array,
            self.columns,
            edges.view(np.int64),
            offsets.view(np.int64),
            numbers.view(np.float64),
            text,
        )
        self.shared = tvm_ffi.from_dlpack(state.array)
        self.tensors = tuple(map(tvm_ffi.from_dlpack, arrays))
        self.places: Sequence[int] = ()  # the columns that were encoded
        self.left: object = None  # what the columns point into that were left to the runtime


class ColumnSet:
    """Some of a stage's columns, as compiled code takes them: their `count` and `plan`, which lies
    at `pointer`. `rows`: of the plan."""

    def __init__(self, rows: Sequence[list[int]], names: Sequence[str]) -> None:
        self.places = [row[Plan.COLUMN] for row in rows]
        self.count = len(rows)
        plan = aligned_empty(sum(map(len, rows)), "int64")
        plan[:] = [word for row in rows for word in row]
        self.plan, self.pointer = tvm_ffi.from_dlpack(plan), address(plan)
        self.values: Callable[[Any], tuple[Any, ...]] = lambda fields: ()
        if len(names) > 1:
            self.values = itemgetter(*names)
        elif names:
            get = itemgetter(*names)
            self.values = lambda fields: (get(fields),)


class CompiledEncoder:
    """An `Encoder` of `specs` whose work the compiled `function` does. Safe to call from many
    threads at once.

    What is encoded stays until it is given back.
    """

    def __init__(
        self,
        function: Any,
        writer: ValueWriter,
        specs: Sequence[ColumnSpec],
        where: Callable[[str], str],
        unparsed: UnparsedValues | None = None,
    ) -> None:
        self.specs, self._where, self._function = tuple(specs), where, function
        self._unparsed = unparsed or UnparsedValues()
        self._writer = writer
        rows = [plan_row(index, spec) for index, spec in enumerate(specs)]
        self._rows = {row[Plan.COLUMN]: row for row in rows if row is not None and FORMAT_IS_KNOWN}
        self._others = tuple(i for i in range(len(specs)) if i not in self._rows)
        self._encoders: dict[tuple[int, ...], Encoder] = {}
        self._names = [specs[index].name for index in self._rows]
        self._every = self._set(list(self._rows))
        # By the types that the columns of many rows have: those that are known, and all others.
        self._choices: dict[tuple[type, ...], tuple[ColumnSet | None, tuple[int, ...]]] = {}
        # One a running call. Lists append and pop atomically.
        self._idle: list[EncodeMemory] = []

    def one(self, fields: Mapping[str, object], mode: int = Mode.ROWS) -> Encoded:
        """See `Encoder.one`."""
        memory = self._run(self._every, fields, 1, mode, single=True)
        if memory is None:
            return self._encoder(tuple(range(len(self.specs)))).one(fields, mode)
        bound = memory.state[EncodeState.SIZE] + BOUND * len(self.specs)
        shared = (
            memory.state[EncodeState.SIZE] + SHARED * len(self.specs) if mode == Mode.ONE else 0
        )
        left = self._left(memory, self._others)
        if left:
            more = self._encoder(left).one(fields, mode)
            _merge(memory, left, more)
            bound, shared = bound + more.bound, shared + more.shared
        return Encoded(1, memory.columns, bound, shared, memory)

    def _memory(self) -> EncodeMemory:
        return EncodeMemory(len(self.specs), ValueBytes(SMALLEST))

    def _write(
        self, chosen: ColumnSet, given: Mapping[str, Any], memory: EncodeMemory
    ) -> EncodeMemory | None:
        values = self._writer.write(chosen.values(given), memory.values)
        if values is None or values is memory.values:
            return memory if values else None
        return EncodeMemory(len(self.specs), values)

    def rows(self, columns: Columns, rows: int) -> Encoded:
        """See `Encoder.rows`. Columns that are lists or arrays are encoded in compiled code."""
        if rows == 1:
            return self.one({name: column[0] for name, column in columns.items() if len(column)})
        types = tuple(map(type, map(columns.__getitem__, self._names)))
        choice = self._choices.get(types)
        if choice is None:
            choice = self._choose(types)
        chosen, others = choice if rows else (None, ())
        memory = self._run(chosen, columns, rows, Mode.ROWS, single=False)
        if memory is None:
            return self._encoder(tuple(range(len(self.specs)))).rows(columns, rows)
        bound, shared = memory.state[EncodeState.SIZE] + len(self.specs) * (ROW_BOUND + rows), 0
        left = self._left(memory, others)
        if left:
            more = self._encoder(left).rows(columns, rows)
            _merge(memory, left, more)
            bound, shared = bound + more.bound, more.shared
        return Encoded(rows, memory.columns, bound, shared, memory)

    def give_back(self, encoded: Encoded) -> None:
        """Take the memory of what was encoded for another call."""
        memory = encoded.memory
        if isinstance(memory, EncodeMemory):
            memory.left = None
            self._idle.append(memory)

    def _run(
        self, chosen: ColumnSet | None, given: Mapping[str, Any], rows: int, mode: int, single: bool
    ) -> EncodeMemory | None:
        """Encode the chosen columns; None where they cannot be written down or passed over."""
        if chosen is None:
            return None
        idle = self._idle.pop() if self._idle else self._memory()
        memory = self._write(chosen, given, idle)
        if memory is None:
            self._idle.append(idle)
            return None
        memory.places = chosen.places
        memory.state[EncodeState.MODE] = mode
        self._function(chosen.count, rows, int(single), memory.shared, chosen.plan, *memory.tensors)
        if memory.state[EncodeState.LEFT] < 0:
            self._idle.append(memory)
            return None
        return memory

    def _left(self, memory: EncodeMemory, others: tuple[int, ...]) -> tuple[int, ...]:
        """The columns that are left to the runtime: `others`, and what was left now."""
        if not memory.state[EncodeState.LEFT]:
            return others
        places = memory.places
        left = [place for place, flag in zip(places, memory.flags, strict=False) if flag]
        return tuple(sorted((*others, *left)))

    def _choose(self, types: tuple[type, ...]) -> tuple[ColumnSet | None, tuple[int, ...]]:
        pairs, known = list(zip(self._rows, types, strict=True)), self._writer.of_rows
        chosen = self._set([index for index, kind in pairs if kind in known])
        others = [index for index, kind in pairs if kind not in known]
        if len(self._choices) >= _MOST_SETS:
            self._choices.clear()
        self._choices[types] = choice = chosen, tuple(sorted((*self._others, *others)))
        return choice

    def _set(self, indices: Sequence[int]) -> ColumnSet | None:
        """None of no columns."""
        names = [self.specs[index].name for index in indices]
        return ColumnSet([self._rows[index] for index in indices], names) if indices else None

    def _encoder(self, indices: tuple[int, ...]) -> Encoder:
        """Of some columns."""
        found = self._encoders.get(indices)
        if found is None:
            if len(self._encoders) >= _MOST_SETS:
                self._encoders.clear()
            specs = [self.specs[index] for index in indices]
            found = Encoder(specs, self._where, self._unparsed)
            self._encoders[indices] = found
        return found


def _merge(memory: EncodeMemory, left: tuple[int, ...], more: Encoded) -> None:
    """Enter the descriptors of columns that were encoded elsewhere."""
    words = memory.columns.reshape(-1, ColumnDescriptor.WORDS)
    words[list(left)] = more.columns.reshape(-1, ColumnDescriptor.WORDS)
    memory.left = more
