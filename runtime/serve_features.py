"""The features of a request in `serve`: what a stage of them is told, and its memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from runtime.arrays import aligned_empty
from runtime.column_spec import ColumnSpec
from runtime.compiled_encoder import BOUND, SHARED, SMALLEST, ColumnSet, EncodeMemory
from runtime.encoded import Mode
from runtime.input_table import address
from runtime.scratch import Scratch, ScratchMemory
from runtime.serve_plan import Features, Names
from runtime.value_bytes import FORMAT_IS_KNOWN, ValueBytes, ValueWriter
from runtime.value_plan import State, plan_row

__all__ = ["FeaturePlan", "RequestFeatures", "plan_features"]


@dataclass(frozen=True)
class FeaturePlan:
    """What all requests share. `columns`: how many the stage has, the user's and the items'.

    `mode`: of the user's, which are `chosen`. `names`: the words of `serve_plan.Names`, with the
    addresses of `fields`. `item_places`: which columns those of the items are.
    """

    columns: int
    mode: int
    chosen: ColumnSet
    names: npt.NDArray[np.int64]
    fields: tuple[str, ...]
    item_places: npt.NDArray[np.int64]
    scratch: Scratch
    writer: ValueWriter

    @property
    def fixed(self) -> int:
        """Bytes of scratch that are needed whatever the values are, for no rows."""
        shared = SHARED * self.scratch.per_shared if self.mode == Mode.ONE else 0
        return self.scratch.fixed(0) + (BOUND * self.scratch.per_byte + shared) * self.chosen.count


def plan_features(
    specs: Sequence[ColumnSpec],
    fields: Sequence[str],
    unread: Sequence[str],
    mode: int,
    scratch: Scratch,
    writer: ValueWriter,
) -> FeaturePlan | None:
    """Of a stage that reads columns of the user and of items. None where compiled code cannot
    encode all of the user's.

    `fields`: all of the user's. `unread`: those that no stage reads.
    """
    rows = [plan_row(i, spec) for i, spec in enumerate(specs) if spec.side == "user"]
    known = [row for row in rows if row is not None]
    sides = {spec.side for spec in specs}
    if not known or len(known) < len(rows) or sides - {"user", "item"} or not FORMAT_IS_KNOWN:
        return None
    columns = [spec.name for spec in specs if spec.side == "user"]
    read = (*columns, *unread)
    names = aligned_empty(Names.FIRST + len(read), "int64")
    names[:] = len(fields), len(read), *map(id, read)
    items = [i for i, spec in enumerate(specs) if spec.side == "item"]
    places = aligned_empty(len(items), "int64")
    places[:] = items
    chosen = ColumnSet(known, columns)
    return FeaturePlan(len(specs), mode, chosen, names, read, places, scratch, writer)


class RequestFeatures:
    """The memory of one running request, used again by the next. Its words lie at `address`."""

    def __init__(self, plan: FeaturePlan) -> None:
        self._plan = plan
        words = aligned_empty(Features.WORDS, "int64")
        words[:] = 0
        self._words, self.address = words.data, address(words)
        given = self._words
        given[Features.COUNT], given[Features.PLAN] = plan.chosen.count, plan.chosen.pointer
        given[Features.NAMES] = address(plan.names)
        given[Features.ITEMS] = len(plan.item_places)
        given[Features.ITEM_PLACES] = address(plan.item_places)
        given[Features.PER_BYTE] = plan.scratch.per_byte
        given[Features.PER_SHARED] = plan.scratch.per_shared if plan.mode == Mode.ONE else 0
        given[Features.PER_ROW], given[Features.FIXED] = plan.scratch.per_row, plan.fixed
        self._enter(ValueBytes(SMALLEST))
        self._grow_scratch(plan.fixed)

    @property
    def capacity(self) -> int:
        """Bytes of values that there is room for."""
        return self._memory.values.capacity

    def write(self, fields: Mapping[str, object]) -> bool:
        """Write the values of the fields, and say whether they could be; into larger memory where
        they need it."""
        room = self._plan.writer.write(self._plan.chosen.values(fields), self._memory.values)
        if room is None:
            return False
        if room is not self._memory.values:
            self._enter(room)
        return True

    def grow_scratch(self) -> None:
        """To what compiled code found that it needs."""
        needed = self._words[Features.NEEDED]
        if needed > self._words[Features.SCRATCH_BYTES]:
            self._grow_scratch(needed + needed // 4)

    def _enter(self, room: ValueBytes) -> None:
        self._memory = memory = EncodeMemory(self._plan.columns, room)
        memory.state[State.MODE] = self._plan.mode
        self._words[Features.STATE] = memory.state_pointer
        self._words[Features.VALUES] = memory.values.address
        for place, pointer in enumerate(memory.pointers, Features.ENCODED):
            self._words[place] = pointer

    def _grow_scratch(self, size: int) -> None:
        self._scratch = ScratchMemory(size)
        self._words[Features.SCRATCH] = self._scratch.header[1]
        self._words[Features.SCRATCH_BYTES] = size
