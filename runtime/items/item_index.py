"""The index of an item table: from ids to places, for all ids of a request in one compiled call.

    slots  hash | text | place       an open-addressing table, at most half full
    text   i17i4i99...               the ids, one behind the other

An id's text is compared, not its hash alone. An id that is removed keeps its slot, without a place.
Requests may look ids up without Python's lock, also while another thread enters some: they see each
id with the place that it had or has.
`abi/item_index.py` says how the two sides meet.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rtcompile.runtime.abi.item_index import DIGITS_BYTES, Action, IdList, IdsOutcome, Index, Slot
from rtcompile.runtime.abi.layout import Words
from rtcompile.runtime.encoding.plain_values import scalar
from rtcompile.runtime.encoding.value_bytes import PADDING, SPARE
from rtcompile.runtime.memory.arrays import aligned_block, aligned_empty
from rtcompile.runtime.memory.input_table import address
from rtcompile.runtime.memory.struct_memory import allocate
from rtcompile.runtime.process.python_objects import python_objects
from rtcompile.runtime.shorten import short_repr

__all__ = ["ItemIndex", "ItemPlaces", "item_key"]

_FEWEST_IDS, _FEWEST_BYTES = 64, 1 << 11
_COUNT = struct.Struct("<i")
_ENTERED = 4096  # ids that are entered in one call: others wait for Python's lock meanwhile


class ItemPlaces:
    """Memory for a request's ids and their places, used again by the next.

    The places, int64 [`count`], lie at `address`.
    """

    def __init__(self) -> None:
        self._make_room(_FEWEST_IDS, _FEWEST_BYTES)

    def _make_room(self, ids: int, capacity: int) -> None:
        digits = capacity + PADDING
        arrays, addresses = aligned_block(
            [
                (digits + DIGITS_BYTES * ids + PADDING, "uint8"),
                *((count, "int64") for count in (ids, ids, IdList.WORDS)),
            ]
        )
        text, places, hashes, words = addresses
        self._places, self._capacity = arrays[1], capacity
        arrays[3][:] = 0
        self.words: Words = arrays[3].data
        self.words_at, self.address = words, places
        for field, word in (
            (IdList.PYTHON, python_objects() or 0),
            (IdList.BEGIN, text),
            (IdList.END, text + capacity),
            (IdList.ROOM, ids),
            (IdList.PLACES, places),
            (IdList.HASHES, hashes),
            (IdList.DIGITS, digits),
        ):
            self.words[field] = word
        self._text = arrays[0].data

    @property
    def count(self) -> int:
        """Of the ids."""
        return self.words[IdList.COUNT]

    @property
    def values(self) -> npt.NDArray[np.int64]:
        """The places; -1 of an id that has none."""
        return self._places[: self.count]

    def set(self, places: Sequence[int]) -> None:
        """Enter places as they are."""
        if len(places) > self.words[IdList.ROOM]:
            self._make_room(len(places), self._capacity)
        self._places[: len(places)] = places
        self.words[IdList.COUNT] = len(places)

    def write(self, keys: Sequence[str]) -> None:
        """Enter ids as compiled code would write them."""
        texts = [key.encode("utf-8", "surrogatepass") for key in keys]
        parts = [b"u" + _COUNT.pack(len(text)) + text for text in texts]
        written = b"".join((b"[", _COUNT.pack(len(keys)), *parts))
        size = len(written)
        needed = size + SPARE
        if needed > self._capacity or len(keys) > self.words[IdList.ROOM]:
            self._make_room(len(keys) + len(keys) // 4, needed + needed // 4)
        self._text[:size] = written
        self.words[IdList.WRITTEN] = size


class ItemIndex:
    """Of up to `capacity` ids that are ever entered. `function`: the compiled one.

    Its words lie at `address`.
    """

    def __init__(self, function: Any, capacity: int) -> None:
        function.release_gil = False
        self._function = function
        slots = 1 << (2 * max(capacity, 1) - 1).bit_length()
        self._slots = aligned_empty(Slot.WORDS * slots, "int64")
        self._slots[:] = 0
        index = allocate(Index)
        self._words, self.address = index.words, index.address
        self._words[Index.SLOTS], self._words[Index.LAST] = address(self._slots), slots - 1
        # All that there were: a request may still read an old one.
        self._texts = [aligned_empty(PADDING, "uint8")]
        self._make_room(_FEWEST_BYTES)
        self._words[Index.TEXT] = self._words[Index.NEW_TEXT]

    def __len__(self) -> int:
        return self._words[Index.LIVE]

    def find(self, ids: Sequence[object], places: ItemPlaces) -> int:
        """Enter the places of a list or tuple of ids into `places`. Returns how many have none.

        Raises TypeError for what can be no id.
        """
        self._run(Action.FIND, ids, places)
        return places.words[IdList.MISSING]

    def remove(self, ids: Sequence[object]) -> int:
        """Take the places of ids. Returns how many had one."""
        places = ItemPlaces()
        self._run(Action.REMOVE, ids, places)
        return len(ids) - places.words[IdList.MISSING]

    def enter(self, ids: Sequence[str], first: int) -> None:
        """Give the ids the places from `first` on, whether or not they have one; one by one."""
        memory = ItemPlaces()
        for begin in range(0, len(ids), _ENTERED):
            self._run(Action.ENTER, ids[begin : begin + _ENTERED], memory, first + begin)

    def live(self) -> tuple[list[str], npt.NDArray[np.int64]]:
        """The ids that have a place, and their places, in the order of these."""
        slots = self._slots.reshape(-1, Slot.WORDS)
        taken = slots[(slots[:, Slot.HASH] != 0) & (slots[:, Slot.VALUE] >= 0)]
        taken = taken[np.argsort(taken[:, Slot.VALUE])]
        text = self._texts[-1].tobytes()
        keys = taken[:, Slot.KEYS]
        begins, sizes = keys >> 32, keys & 0xFFFFFFFF
        pieces = zip(begins.tolist(), (begins + sizes).tolist(), strict=True)
        ids = [text[begin:end].decode("utf-8", "surrogatepass") for begin, end in pieces]
        return ids, taken[:, Slot.VALUE]

    def _run(self, action: int, ids: Sequence[object], memory: ItemPlaces, first: int = 0) -> None:
        given = id(ids) if python_objects() is not None else 0
        if not given:
            memory.write(list(map(item_key, ids)))
        while True:
            self._function(action, given, first, memory.words_at, self.address)
            outcome = memory.words[IdList.OUTCOME]
            if outcome == IdsOutcome.DONE:
                return
            if outcome == IdsOutcome.TEXT:
                self._make_room(memory.words[IdList.WRITTEN])
            else:
                memory.write(list(map(item_key, ids)))
            given = 0

    def _make_room(self, more: int) -> None:
        """For texts of `more` bytes than there are."""
        used = self._words[Index.TEXT_BYTES]
        room = 2 * used + more
        text = aligned_empty(room + PADDING, "uint8")
        text[:used] = self._texts[-1][:used]
        self._texts.append(text)
        self._words[Index.NEW_TEXT], self._words[Index.TEXT_ROOM] = address(text), room


def item_key(value: object) -> str:
    """An id as it is compared: its text. Raises TypeError for what can be none."""
    if type(value) is str:
        return value
    reason = "a string or an integer is"
    try:
        key = None if isinstance(value, bool | np.bool_) else scalar(value)
        if isinstance(key, str):
            return key
        if isinstance(key, bytes):
            return key.decode("utf-8", "surrogateescape")
        if isinstance(key, int):
            return str(key)
    except ValueError as error:
        reason = str(error)
    except TypeError:
        pass  # no value at all
    raise TypeError(f"{type(value).__name__} {short_repr(value)} is no item id; {reason}")
