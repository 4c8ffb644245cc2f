"""The block that encoded columns lie in, while it is put together.

    descriptors | 0 1 2 ... | words | offsets | numbers | text, PADDING

A column's place is its descriptor with, in place of addresses, how many bytes behind the beginning
of its part each array begins. Finishing adds the address of each part to those the column has.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from rtcompile.runtime.abi.encoded import PADDING, ColumnDescriptor
from rtcompile.runtime.encoding.encoded import Encoded
from rtcompile.runtime.memory.arrays import align, aligned_empty

__all__ = ["Block", "Found", "Place"]


class Place(NamedTuple):
    """The words of a ColumnDescriptor, in its order; where arrays lie as bytes from the beginning
    of their part of the block."""

    rows: int = 0
    values: int = 0
    offsets: int = 0
    text: int = 0
    numbers: int = 0
    split: int = 0
    mode: int = 0
    places: int = 0


# Columns, and where the values of the first one begin; those of the others follow.
Found = tuple[list[int], int]

_PAD = bytes(PADDING)
# From so many values on, numpy is quicker than a list.
_MANY = 64


class Block:
    """Collects values. `entries`: how many the longest column with one value an entry has."""

    def __init__(self, entries: int) -> None:
        self._entries = entries
        self._words: list[int] = []
        self._parts: list[Any] = []  # bytes, and arrays of them
        self._texts = self._bytes = self._numbers = 0
        # Bytes of each text: whole columns, and behind them what came since.
        self._lengths: list[npt.NDArray[np.int64]] = []
        self._tail: list[int] = []
        self._arrays: list[tuple[npt.NDArray[Any], ...]] = []

    @property
    def size(self) -> int:
        """Words and bytes so far, without the shared ones."""
        return len(self._words) + self._texts + self._bytes + self._numbers

    def starts(self, counts: Iterable[int]) -> int:
        """Append the running sums of `counts`; returns their place."""
        place = self._entries + 1 + len(self._words)
        self._words.extend(accumulate(counts, initial=0))
        return 8 * place

    def strings(self, values: Sequence[str]) -> int:
        """Append texts; returns the place of their offsets. TypeError where one is no string."""
        text = "".join(values)
        data = text.encode("utf-8", "surrogatepass")
        if len(data) == len(text):
            return self._append(data, map(str.__len__, values), len(values))
        # Not all are ASCII.
        sizes = [len(str.encode(value, "utf-8", "surrogatepass")) for value in values]
        return self._append(data, sizes, len(values))

    def texts(self, values: Sequence[bytes]) -> int:
        """`strings`, of bytes."""
        return self._append(b"".join(values), map(len, values), len(values))

    def pieces(self, data: npt.NDArray[np.uint8], sizes: npt.NDArray[np.int64]) -> int:
        """`texts`, of the bytes of all and the length of each."""
        place = 8 * self._texts
        self._end_tail()
        self._parts.append(data)
        self._lengths.append(sizes)
        self._texts += len(sizes)
        self._bytes += len(data)
        return place

    def _append(self, data: bytes, sizes: Iterable[int], count: int) -> int:
        place = 8 * self._texts
        self._parts.append(data)
        self._texts += count
        self._bytes += len(data)
        if count < _MANY:
            self._tail.extend(sizes)
        else:
            self._end_tail()
            self._lengths.append(np.fromiter(sizes, np.int64, count))
        return place

    def _end_tail(self) -> None:
        if self._tail:
            self._lengths.append(np.array(self._tail, np.int64))
            self._tail = []

    def numbers(self, *arrays: npt.NDArray[Any]) -> int:
        """Append numbers of any dtype and shape, one array after another; returns their place."""
        place = 8 * self._numbers
        self._numbers += sum([array.size for array in arrays])
        self._arrays.append(arrays)
        return place

    def finish(
        self, rows: int, places: npt.NDArray[np.int64], has: npt.NDArray[np.int64], shared: int
    ) -> Encoded:
        """Copy everything into one aligned block, and point the descriptors into it.

        `places` int64 [columns, words of a descriptor]; `has`: the same, 1 where one is an address.
        """
        words_at = 8 * ColumnDescriptor.WORDS * len(places)
        offsets_at = words_at + 8 * (self._entries + 1 + len(self._words))
        numbers_at = align(offsets_at + 8 * (self._texts + 1))
        text_at = align(numbers_at + 8 * self._numbers)
        block = aligned_empty(text_at + self._bytes + PADDING, "uint8")
        base = block.__array_interface__["data"][0]
        words = block[:numbers_at].view(np.int64)
        self._put_words(words, words_at // 8)
        self._put_lengths(words[offsets_at // 8 :])
        self._put_numbers(block[numbers_at : numbers_at + 8 * self._numbers].view(np.float64))
        self._parts.append(_PAD)
        block.data[text_at:] = b"".join(self._parts)
        ends = {"split": -base, "mode": -base, "places": -base}
        starts = Place(words_at, words_at, offsets_at, text_at, numbers_at, **ends)
        columns = words[: words_at // 8]
        np.multiply(has, np.array(starts) + base, columns.reshape(places.shape))
        columns += places.reshape(-1)
        bound = self.size + len(places) * (ColumnDescriptor.WORDS + 2 + self._entries)
        return Encoded(rows, columns, bound, shared, block)

    def _put_words(self, words: npt.NDArray[np.int64], at: int) -> None:
        entries = self._entries + 1
        words[at : at + entries] = _counted(entries)
        if self._words:
            words[at + entries : at + entries + len(self._words)] = self._words

    def _put_lengths(self, offsets: npt.NDArray[np.int64]) -> None:
        offsets[0] = 0
        if self._lengths:
            self._end_tail()
            np.cumsum(np.concatenate(self._lengths), out=offsets[1 : self._texts + 1])
        elif self._tail:
            offsets[1 : self._texts + 1] = list(accumulate(self._tail))

    def _put_numbers(self, numbers: npt.NDArray[np.float64]) -> None:
        at = 0
        for arrays in self._arrays:
            given = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
            end = at + given.size
            numbers[at:end].reshape(given.shape)[...] = given
            at = end


_COUNTED = np.arange(1024)


def _counted(count: int) -> npt.NDArray[np.int64]:
    """0 1 2 ... count - 1"""
    return _COUNTED[:count] if count <= len(_COUNTED) else np.arange(count)
