"""The item table: each item's raw fields, and what the item stage made of them.

Readers never wait. A reader takes the current `ItemState` once; a writer fills rows that no index
entry points to yet and enters them last, so a reader sees an item as it was or as it is, whole. A
row that was replaced or deleted is not used again: once half of the rows are such, the live ones
are copied into a new state.
"""

from __future__ import annotations

import marshal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress, count, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rtcompile.runtime.abi.rank import Current
from rtcompile.runtime.encoding.column_spec import ColumnSpec
from rtcompile.runtime.encoding.column_store import (
    ColumnStore,
    StoredColumns,
    item_field,
    stored_specs,
)
from rtcompile.runtime.encoding.encode import Encoder
from rtcompile.runtime.encoding.plain_values import plain
from rtcompile.runtime.encoding.raw_values import listed
from rtcompile.runtime.encoding.unparsed import UnparsedValues
from rtcompile.runtime.errors import RequestError, UnknownItemError
from rtcompile.runtime.items.item_columns import column_of, columns_of
from rtcompile.runtime.items.item_ids import ids_of, keys_of
from rtcompile.runtime.items.item_index import ItemIndex, ItemPlaces
from rtcompile.runtime.items.read_items import read_items
from rtcompile.runtime.memory.arrays import aligned_empty
from rtcompile.runtime.memory.input_table import address
from rtcompile.runtime.memory.struct_memory import allocate
from rtcompile.runtime.process.fork_safe_lock import ForkSafeLock
from rtcompile.runtime.shorten import first_few, short_repr
from rtcompile.runtime.stages.stage import Port

__all__ = ["ItemState", "ItemTable", "Snapshot"]

# Rows of the item stage that run at once: bounds the memory that an upsert takes.
_BATCH = 4096
_SMALLEST = 64

# Names of the key column, in order of preference.
_KEYS = ("item_id", "id")

_versions = count(1)

# (columns: name -> a value an item, count) -> one array [count, ...] a port
Compute = Callable[[Mapping[str, Sequence[object]], int], list[npt.NDArray[Any]]]


@dataclass(slots=True)
class Snapshot:
    """What a request reads: the items' places, and the arrays that these are places in."""

    places: ItemPlaces
    state: ItemState
    stored: StoredColumns


class ItemState:
    """Rows [0, used) of the arrays are written; `index` points to the live ones. What lies at
    `addresses` lives as long as this does. No other state of the process has its `version`."""

    def __init__(
        self,
        ports: Sequence[Port],
        specs: Sequence[ColumnSpec],
        index: Callable[[int], ItemIndex],
        capacity: int,
    ) -> None:
        self.store = ColumnStore(specs)
        self.capacity = capacity
        self.arrays = [aligned_empty(capacity * p.row_elements, p.dtype) for p in ports]
        for array in self.arrays:
            array[:] = 0
        self.addresses = np.array([address(array) for array in self.arrays], np.int64)
        self.raw: list[bytes] = []
        self.index = index(capacity)
        self.version = next(_versions)

    @property
    def used(self) -> int:
        """Rows that are written, live or not."""
        return len(self.raw)


class ItemTable:
    """Items by id. Safe to read and to change from many threads. `index`: makes one of a capacity.

    An id is the value of the table's key column: `item_id`, else `id`, unless another is named. It
    is a string or an integer; 7 and "7" are the same item.
    """

    def __init__(
        self,
        columns: Sequence[str],
        ports: Sequence[Port],
        compute: Compute,
        index: Callable[[int], ItemIndex],
        specs: Sequence[ColumnSpec] = (),
        unparsed: UnparsedValues | None = None,
    ) -> None:
        self._columns, self._ports, self._compute = tuple(columns), ports, compute
        self._index = index
        # Raw columns that features read together with the user's: kept encoded.
        self._specs = tuple(specs)
        # The store takes what this one took, and tells of nothing once more.
        self._encoder = Encoder(stored_specs(specs), item_field, unparsed)
        self._lock = ForkSafeLock()  # one writer at a time
        current = allocate(Current)
        self._current, self.current_at = current.words, current.address
        self._show(self._new_state(_SMALLEST))

    def _show(self, state: ItemState) -> None:
        """Have requests see a state."""
        # No compiled request begins with an object that may be gone: first there is none.
        self._current[Current.VERSION] = 0
        try:
            # What a request reads that looks items up by itself.
            self.state = state
        finally:  # of an interrupt, too
            self._current[Current.OBJECT] = id(self.state)
            self._current[Current.VERSION] = self.state.version

    def _new_state(self, capacity: int) -> ItemState:
        return ItemState(self._ports, self._specs, self._index, capacity)

    def __len__(self) -> int:
        return len(self.state.index)

    def __contains__(self, item: object) -> bool:
        return self.state.index.find([item], ItemPlaces()) == 0

    def ids(self) -> list[str]:
        """The ids of all items."""
        with self._lock:
            return self.state.index.live()[0]

    # -- reading ------------------------------------------------------------------------------

    def snapshot(self, items: Sequence[object], places: ItemPlaces) -> Snapshot:
        """Where the items of a request lie. Raises UnknownItemError, RequestError."""
        state = self.state
        _find(state.index, items, places)
        return Snapshot(places, state, state.store.snapshot)

    def raw(self, items: Sequence[object]) -> dict[str, list[object]]:
        """The raw fields of items: column -> a value an item."""
        state, places = self.state, ItemPlaces()
        _find(state.index, items, places)
        rows = [marshal.loads(state.raw[place]) for place in places.values]
        return {name: [row[i] for row in rows] for i, name in enumerate(self._columns)}

    # -- writing ------------------------------------------------------------------------------

    def upsert(self, table: object, key: str | None = None) -> int:
        """Add items, or replace those whose id is known. Returns how many rows were given.

        `table`: a mapping of column to values, a list of mappings, an Arrow table or what gives
        one, as frames of polars and pandas do. It needs the key column and every column that the
        features read; others are ignored. `key` names the key column.

        Raises RequestError; then nothing changed.
        """
        columns, keys = self._check(table, key)
        computed, raw = self._made_of(columns, keys)
        with self._lock:
            state = self._with_room(self.state, len(keys))
            state.store.append(columns, len(keys))
            _append(state, computed, raw, keys)
            self._show(state)
        return len(keys)

    def delete(self, ids: object) -> int:
        """Remove items. Returns how many were there; unknown ids are no error.

        `ids`: a list or another iterable of ids, or a single one. Raises RequestError; then nothing
        changed.
        """
        wanted = ids_of(ids)  # an iterable may ask this table, so this comes before the lock
        with self._lock:
            return self.state.index.remove(wanted)

    def replace(self, source: object, key: str | None = None) -> int:
        """Make the table hold exactly the items of `source`: a table, or a path of a file.

        Files: .jsonl, .csv, or .parquet (needs pyarrow). A request sees all the old items or all
        the new ones. Returns how many items there are. Raises RequestError; then nothing changed.
        """
        table = read_items(source) if isinstance(source, str | Path) else source
        columns, keys = self._check(table, key)
        computed, raw = self._made_of(columns, keys)
        state = self._new_state(max(_SMALLEST, len(keys)))
        state.store.append(columns, len(keys))
        _append(state, computed, raw, keys)
        with self._lock:
            self._show(state)
        return len(state.index)

    # -- how ----------------------------------------------------------------------------------

    def _check(
        self, table: object, key: str | None
    ) -> tuple[dict[str, Sequence[object]], list[str]]:
        columns = columns_of(table)
        key = key or next((name for name in _KEYS if name in columns), _KEYS[0])
        missing = [n for n in (key, *self._columns) if n not in columns]
        if missing:
            raise RequestError(
                f"items: columns {', '.join(map(repr, dict.fromkeys(missing)))} are missing; given "
                f"are {', '.join(map(repr, columns)) or 'none'}"
            )
        wanted = {name: column_of(columns, name) for name in (key, *self._columns)}
        lengths = {name: len(values) for name, values in wanted.items()}
        if len(set(lengths.values())) > 1:
            raise RequestError(f"items: columns of different lengths: {lengths}")
        return wanted, keys_of(wanted[key], f"items: field {key!r}")

    def _made_of(
        self, columns: Mapping[str, Sequence[object]], keys: Sequence[str]
    ) -> tuple[list[npt.NDArray[Any]], list[bytes]]:
        """What the table keeps of items, before anything changes. RequestError names the item."""
        try:
            return self._make(columns, len(keys))
        except RequestError as error:
            row, reason = self._first_refused(columns, len(keys), error)
            if row is None:
                raise
            said = str(reason).removesuffix(" (row 0)")  # of a table of this item alone
            named = f"items: row {row}, item {short_repr(keys[row])}: {said}"
            raise type(error)(named) from error

    def _make(
        self, columns: Mapping[str, Sequence[object]], count: int
    ) -> tuple[list[npt.NDArray[Any]], list[bytes]]:
        computed = self._compute_all(columns, count)
        if self._specs:
            self._encoder.rows(columns, count)  # raises what appending would
        return computed, self._pack(columns, count)

    def _first_refused(
        self, columns: Mapping[str, Sequence[object]], count: int, error: RequestError
    ) -> tuple[int | None, RequestError]:
        """The first row that is refused, and why, by halving; no row where none is by itself."""
        begin, end = 0, count
        while end - begin > 1:
            middle = (begin + end) // 2
            found = self._refusal(columns, begin, middle)
            begin, end = (begin, middle) if found else (middle, end)
        found = self._refusal(columns, begin, end)
        return (None, error) if found is None else (begin, found)

    def _refusal(
        self, columns: Mapping[str, Sequence[object]], begin: int, end: int
    ) -> RequestError | None:
        try:
            self._make({name: values[begin:end] for name, values in columns.items()}, end - begin)
        except RequestError as error:
            return error
        return None

    def _compute_all(
        self, columns: Mapping[str, Sequence[object]], count: int
    ) -> list[npt.NDArray[Any]]:
        """The item stage over all rows, in batches; one flat array a port."""
        parts: list[list[npt.NDArray[Any]]] = []
        edges = [*range(0, count, _BATCH), count]
        for begin, end in pairwise(edges):
            batch = {name: columns[name][begin:end] for name in self._columns}
            parts.append([array.reshape(-1) for array in self._compute(batch, end - begin)])
        if not parts:
            return [np.empty(0, port.dtype) for port in self._ports]
        return [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]

    def _pack(self, columns: Mapping[str, Sequence[object]], count: int) -> list[bytes]:
        kept: list[list[Any]] = []
        for name in self._columns:
            try:
                kept.append([plain(value) for value in listed(columns[name])])
            except Exception as error:  # whatever the code of a foreign object raises
                raise RequestError(f"{item_field(name)}: {error}") from error
        return [marshal.dumps(tuple(values[row] for values in kept)) for row in range(count)]

    def _with_room(self, state: ItemState, count: int) -> ItemState:
        """`state`, or a new one that holds its live rows and has room for `count` more."""
        live = len(state.index)
        if state.used + count <= state.capacity and state.used <= 2 * live + _SMALLEST:
            return state
        grown = self._new_state(max(_SMALLEST, 2 * (live + count)))
        keys, places = state.index.live()
        for port, old, new in zip(self._ports, state.arrays, grown.arrays, strict=True):
            width = port.row_elements
            kept = old.reshape(state.capacity, width)[places]
            new[: live * width] = kept.reshape(-1)
        grown.raw = [state.raw[place] for place in places]
        rows = [marshal.loads(row) for row in grown.raw] if self._specs else []
        kept_rows = {name: [row[i] for row in rows] for i, name in enumerate(self._columns)}
        grown.store.append(kept_rows, len(rows))
        grown.index.enter(keys, 0)
        return grown


def _append(
    state: ItemState, computed: list[npt.NDArray[Any]], raw: list[bytes], keys: list[str]
) -> None:
    first = state.used
    for array, values in zip(state.arrays, computed, strict=True):
        width = values.size // len(keys) if keys else 0
        array[first * width : first * width + values.size] = values
    state.raw.extend(raw)
    # Last: from here on readers find the rows.
    state.index.enter(keys, first)


def _find(index: ItemIndex, items: Sequence[object], places: ItemPlaces) -> None:
    """Enter the places of items. Raises UnknownItemError, RequestError."""
    try:
        missing = index.find(items, places)
    except TypeError as error:
        raise RequestError(f"items: {error}") from error
    if missing:
        unknown = compress(items, (places.values < 0).tolist())
        raise UnknownItemError(f"items {first_few(unknown, missing)} are not in the item table")
