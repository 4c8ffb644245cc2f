"""Encoded columns of the item table, for the features that read user and item together.

Rows are appended; what is written stays where it is until an array is full, and then moves to one
of twice the size, while the old one lives on for those who still read it. Values are stored as
lists, split once, so that all rows have one form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from rtcompile.runtime.abi.encoded import PADDING, ColumnDescriptor, Mode
from rtcompile.runtime.abi.layout import Field
from rtcompile.runtime.abi.serve_features import StoredDescriptors, StoredNow
from rtcompile.runtime.encoding.column_spec import ColumnSpec
from rtcompile.runtime.encoding.encode import Encoder
from rtcompile.runtime.memory.arrays import aligned_empty
from rtcompile.runtime.memory.struct_memory import allocate

__all__ = ["ColumnStore", "StoredColumns", "item_field", "stored_specs"]


def item_field(name: str) -> str:
    """How messages name a field of items."""
    return f"item field {name!r}"


def stored_specs(specs: Sequence[ColumnSpec]) -> tuple[ColumnSpec, ...]:
    """How columns are read that are kept."""
    return tuple(replace(spec, listed=True) for spec in specs)


class StoredColumns:
    """What a reader takes: descriptors [columns, ...], and the arrays that they point into.

    `longest`: at least the elements, values and bytes that any item has in a column, for the
    scratch. For compiled code, a StoredDescriptors lies at `address`.
    """

    def __init__(
        self, descriptors: npt.NDArray[np.int64], arrays: Sequence[Any], longest: int
    ) -> None:
        self.arrays, self.longest = arrays, longest
        given = {StoredDescriptors.OBJECT: id(self), StoredDescriptors.LONGEST: longest}
        stored = allocate(StoredDescriptors, descriptors.size, given)
        lie_in = StoredDescriptors.COLUMNS.slice(len(descriptors))
        self.descriptors = stored.array[lie_in].reshape(descriptors.shape)
        self.descriptors[:] = descriptors
        self.address = stored.address


class _Growing:
    """An array that is appended to."""

    def __init__(self, dtype: str, first: Sequence[int] = ()) -> None:
        self.array = aligned_empty(64, dtype)
        self.used = len(first)
        self.array[: self.used] = first

    def append(self, values: npt.NDArray[Any], padding: int = 0) -> None:
        """Write `values` behind the last; the array keeps room for `padding` more."""
        needed = self.used + len(values) + padding
        if needed > len(self.array):
            grown = aligned_empty(2 * needed, str(self.array.dtype))
            grown[: self.used] = self.array[: self.used]
            self.array = grown
        self.array[self.used : self.used + len(values)] = values
        self.used += len(values)

    @property
    def address(self) -> int:
        """Where the array lies."""
        return int(self.array.__array_interface__["data"][0])


class _Column:
    """One spec's arrays."""

    def __init__(self) -> None:
        self.rows, self.values = _Growing("int64", [0]), _Growing("int64", [0])
        self.offsets, self.text = _Growing("int64", [0]), _Growing("uint8")
        self.numbers = _Growing("float64")

    def arrays(self) -> dict[Field, _Growing]:
        """By the field of the descriptor that points to each."""
        return {
            ColumnDescriptor.ROWS: self.rows,
            ColumnDescriptor.VALUES: self.values,
            ColumnDescriptor.OFFSETS: self.offsets,
            ColumnDescriptor.TEXT: self.text,
            ColumnDescriptor.NUMBERS: self.numbers,
        }


class ColumnStore:
    """Append rows, take snapshots. One writer at a time; see `item_table.py`."""

    def __init__(self, specs: Sequence[ColumnSpec]) -> None:
        self._specs = stored_specs(specs)
        self._encoder = Encoder(self._specs, item_field)
        self._columns = [_Column() for _ in specs]
        self._splits = [0] * len(self._specs)
        self._longest = 0
        # Where compiled code finds the snapshot: a StoredNow, at `address`.
        now = allocate(StoredNow)
        self._now, self.address = now.words, now.address
        self.snapshot = self._before = self._taken()
        self._now[StoredNow.STORED] = self.snapshot.address

    def append(self, columns: Mapping[str, Sequence[object]], rows: int) -> None:
        """Encode and append rows. RequestError was raised before: the item stage read the same."""
        if not self._specs or not rows:
            return
        encoded = self._encoder.rows(columns, rows)
        for index, (spec, column) in enumerate(zip(self._specs, self._columns, strict=True)):
            part = encoded.part(index, spec)
            if part.rows is not None:
                column.rows.append(part.rows[1:] + column.rows.array[column.rows.used - 1])
            column.values.append(part.values[1:] + column.values.array[column.values.used - 1])
            if part.offsets is not None:
                ends = part.offsets[1:] - part.offsets[0]
                column.offsets.append(ends + column.offsets.array[column.offsets.used - 1])
                column.text.append(part.text, PADDING)
            column.numbers.append(part.numbers)
            self._splits[index] = part.split
            longest = int(np.max(part.row_sizes(with_text=True), initial=0))
            self._longest = max(self._longest, longest)
        # Whoever reads the word has Python's lock until he holds what it says: that stays until the
        # word says another.
        self._before, self.snapshot = self.snapshot, self._taken()
        self._now[StoredNow.STORED] = self.snapshot.address
        self._before = self.snapshot

    def _taken(self) -> StoredColumns:
        descriptors = np.zeros((len(self._columns), ColumnDescriptor.WORDS), np.int64)
        arrays: list[Any] = []
        for index, column in enumerate(self._columns):
            growing = column.arrays()
            for field, one in growing.items():
                descriptors[index, field] = one.address
            descriptors[index, ColumnDescriptor.SPLIT] = self._splits[index]
            descriptors[index, ColumnDescriptor.MODE] = Mode.PLACES
            arrays += [one.array for one in growing.values()]
        return StoredColumns(descriptors, arrays, self._longest)
