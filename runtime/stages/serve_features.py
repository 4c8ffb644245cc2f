"""The features of a request in `serve`: what a stage of them is told, and its memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rtcompile.runtime.abi.encode_values import EncodeState
from rtcompile.runtime.abi.encoded import ColumnDescriptor, Mode
from rtcompile.runtime.abi.layout import Field, Words
from rtcompile.runtime.abi.serve_features import FieldNames, SideColumns, StageFeatures
from rtcompile.runtime.encoding.column_plan import plan_row
from rtcompile.runtime.encoding.column_spec import ColumnSpec
from rtcompile.runtime.encoding.encode_values import (
    BOUND,
    ROW_BOUND,
    SHARED,
    SMALLEST,
    ColumnSet,
    EncodeMemory,
)
from rtcompile.runtime.encoding.value_bytes import FORMAT_IS_KNOWN, ValueBytes, ValueWriter
from rtcompile.runtime.memory.arrays import aligned_empty
from rtcompile.runtime.memory.input_table import address
from rtcompile.runtime.memory.scratch import Scratch, ScratchMemory
from rtcompile.runtime.memory.struct_memory import StructMemory, allocate

__all__ = ["FeaturePlan", "RequestFeatures", "plan_features"]

_SIDES = {"user": StageFeatures.USER, "context": StageFeatures.CONTEXT}


@dataclass(frozen=True)
class _PartPlan:
    """The columns of one side, which are `chosen`, and their `mode`.

    `names`: a FieldNames of `fields`.
    """

    chosen: ColumnSet
    mode: int
    names: StructMemory
    fields: tuple[str, ...]


@dataclass(frozen=True)
class FeaturePlan:
    """What all requests share. `columns`: how many the stage has, of all sides.

    `parts`: by side, of those that something is read of. `item_places`: which columns those of the
    items are.
    """

    columns: int
    parts: Mapping[str, _PartPlan]
    item_places: npt.NDArray[np.int64]
    scratch: Scratch
    writer: ValueWriter

    def count(self, side: str) -> int:
        """Columns of a side."""
        return self.parts[side].chosen.count if side in self.parts else 0

    @property
    def per_shared(self) -> int:
        """Bytes of scratch for each value and byte of the user's, if all rows share them."""
        is_shared = "user" in self.parts and self.parts["user"].mode == Mode.ONE
        return self.scratch.per_shared if is_shared else 0

    @property
    def per_row(self) -> int:
        """Bytes of scratch for each row, whatever the values are."""
        return self.scratch.per_row + self.scratch.per_byte * self.count("context")

    @property
    def fixed(self) -> int:
        """Bytes of scratch that are needed whatever the values are, for no rows."""
        bound = BOUND * self.count("user") + ROW_BOUND * self.count("context")
        shared = SHARED * self.per_shared * self.count("user")
        return self.scratch.fixed(0) + self.scratch.per_byte * bound + shared


def plan_features(
    specs: Sequence[ColumnSpec],
    fields: Mapping[str, Sequence[str]],
    unread: Mapping[str, Sequence[str]],
    mode: int,
    scratch: Scratch,
    writer: ValueWriter,
) -> FeaturePlan | None:
    """Of a stage. None where compiled code cannot encode all columns but the items'.

    `fields`: by side all that there are. `unread`: by side those that no stage reads, if it is this
    one that has to ask for them. `mode`: of the user's columns.
    """
    parts: dict[str, _PartPlan] = {}
    for side in _SIDES:
        columns = [(i, spec) for i, spec in enumerate(specs) if spec.side == side]
        if not columns and side not in unread:
            continue
        rows = [row for i, spec in columns if (row := plan_row(i, spec)) is not None]
        if len(rows) < len(columns) or not FORMAT_IS_KNOWN:
            return None
        named = [spec.name for _, spec in columns]
        read = (*named, *unread.get(side, ()))
        sizes = {FieldNames.SIZE: len(fields[side]), FieldNames.COUNT: len(read)}
        names = allocate(FieldNames, len(read), sizes)
        names.array[FieldNames.NAMES.slice(len(read))] = [*map(id, read)]
        of_side = mode if side == "user" else Mode.ROWS
        parts[side] = _PartPlan(ColumnSet(rows, named), of_side, names, read)
    items = [i for i, spec in enumerate(specs) if spec.side == "item"]
    places = aligned_empty(len(items), "int64")
    places[:] = items
    return FeaturePlan(len(specs), parts, places, scratch, writer)


class RequestFeatures:
    """The memory of one running request, used again by the next. Its words lie at `address`."""

    def __init__(self, plan: FeaturePlan) -> None:
        columns = aligned_empty(ColumnDescriptor.WORDS * plan.columns, "int64")
        columns[:] = 0
        given = {
            StageFeatures.COLUMNS: address(columns),
            StageFeatures.ITEMS: len(plan.item_places),
            StageFeatures.ITEM_PLACES: address(plan.item_places),
            StageFeatures.PER_BYTE: plan.scratch.per_byte,
            StageFeatures.PER_SHARED: plan.per_shared,
            StageFeatures.PER_ROW: plan.per_row,
            StageFeatures.FIXED: plan.fixed,
        }
        features = allocate(StageFeatures, given=given)
        self._words, self.address = features.words, features.address
        self._columns = columns
        self._parts = {
            side: _PartMemory(plan.parts[side], plan.writer, columns, self._words, lies_in)
            for side, lies_in in _SIDES.items()
            if side in plan.parts
        }
        self._grow_scratch(plan.fixed)

    @property
    def capacity(self) -> list[int]:
        """Bytes of values that there is room for, of each part."""
        return [part.capacity for part in self._parts.values()]

    def write(self, side: str, fields: Mapping[str, object]) -> bool:
        """Write the values of a side's fields, and say whether they could be; into larger memory
        where they need it. KeyError where one is missing."""
        part = self._parts.get(side)
        return part is None or part.write(fields)

    def grow_scratch(self) -> None:
        """To what compiled code found that it needs."""
        needed = self._words[StageFeatures.NEEDED]
        if needed > self._words[StageFeatures.SCRATCH_BYTES]:
            self._grow_scratch(needed + needed // 4)

    def _grow_scratch(self, size: int) -> None:
        self._scratch = ScratchMemory(size)
        self._words[StageFeatures.SCRATCH] = self._scratch.address
        self._words[StageFeatures.SCRATCH_BYTES] = size


class _PartMemory:
    """The memory of one side's columns. `columns`: of the stage's. `words`: of StageFeatures, in
    which the side `lies_in` a field."""

    def __init__(
        self,
        plan: _PartPlan,
        writer: ValueWriter,
        columns: npt.NDArray[np.int64],
        words: Words,
        lies_in: Field,
    ) -> None:
        self._plan, self._writer, self._columns = plan, writer, columns
        self._words, self._lies_in = words, lies_in
        self._set(SideColumns.COUNT, plan.chosen.count)
        self._set(SideColumns.PLAN, plan.chosen.pointer)
        self._set(SideColumns.NAMES, plan.names.address)
        self._enter(ValueBytes(SMALLEST))

    @property
    def capacity(self) -> int:
        return self._memory.values.capacity

    def write(self, fields: Mapping[str, object]) -> bool:
        room = self._writer.write(self._plan.chosen.values(fields), self._memory.values)
        if room is None:
            return False
        if room is not self._memory.values:
            self._enter(room)
        return True

    def _enter(self, room: ValueBytes) -> None:
        self._memory = memory = EncodeMemory(self._columns, room)
        memory.state[EncodeState.MODE] = self._plan.mode
        self._set(SideColumns.STATE, memory.state_pointer)
        self._set(SideColumns.VALUES, memory.values.address)
        for field, pointer in memory.pointers.items():
            self._set(field, pointer)

    def _set(self, field: Field, value: int) -> None:
        self._words[self._lies_in.of(field)] = value
