"""Columns with a plain number a row: whole arrays, and lists of floats or of integers.

What a list holds is told by the bytes that `marshal` makes of it: version 2 writes a list as a byte
and its length, a float as "g" and eight bytes, an integer of 32 bits as "i" and four. That is the
quickest way there is to learn the type of every value and to have them side by side. The format is
Python's own business, so it is tried when this module is loaded; were it another one, lists would
be gone through value by value.
"""

from __future__ import annotations

import marshal
import struct
from dataclasses import dataclass
from math import isnan

import numpy as np
import numpy.typing as npt

from rtcompile.runtime.encoding.encode_block import Block, Found
from rtcompile.runtime.encoding.plain_values import Values

__all__ = ["NumberColumns", "may_lack"]

_VERSION = 2
_HEAD = 5


@dataclass(frozen=True)
class _Kind:
    """How marshal writes numbers of one type."""

    tag: bytes
    dtype: str

    def matches(self, number: float) -> bool:
        """Whether it still does."""
        code = {"<f8": "<d", "<i4": "<i"}[self.dtype]
        found = marshal.dumps([number, number], _VERSION)
        one = self.tag + struct.pack(code, number)
        return found[1:] == struct.pack("<i", 2) + one + one

    def size(self, rows: int) -> int:
        """Bytes of a list of them."""
        return _HEAD + rows * (1 + int(self.dtype[-1]))

    def columns(self, rows: int) -> np.dtype[np.void]:
        """Of a column as bytes."""
        one = np.dtype([("tag", "u1"), ("number", self.dtype)])
        return np.dtype([("head", f"V{_HEAD}"), ("values", one, (rows,))])


_KINDS = tuple(
    kind
    for kind, number in ((_Kind(b"g", "<f8"), -1.5), (_Kind(b"i", "<i4"), -3))
    if kind.matches(number)
)


class NumberColumns:
    """Collects columns of `rows` plain numbers, at least one."""

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._sizes = {kind.size(rows): kind for kind in _KINDS}
        self._lists: dict[_Kind, list[tuple[int, bytes]]] = {kind: [] for kind in _KINDS}
        self._arrays: list[tuple[int, npt.NDArray[np.float64]]] = []

    def take(self, index: int, values: Values) -> bool:
        """Whether column `index` may be one: then it has been added."""
        if isinstance(values, np.ndarray):
            plain = values.ndim == 1 and values.dtype.kind in "fiub" and values.dtype.itemsize <= 8
            if plain:
                self._arrays.append((index, values))
            return plain
        try:
            data = marshal.dumps(values, _VERSION)  # type: ignore[arg-type]
        except ValueError:
            return False
        kind = self._sizes.get(len(data))
        if kind is not None:
            self._lists[kind].append((index, data))
        return kind is not None

    def append(self, block: Block) -> tuple[list[Found], list[int]]:
        """Append all to the block: the places of their numbers, and columns that were none."""
        found: list[Found] = []
        others: list[int] = []
        if self._arrays:
            first = block.numbers(*(array for _, array in self._arrays))
            found.append(([index for index, _ in self._arrays], first))
        for kind, columns in self._lists.items():
            if not columns:
                continue
            data = np.frombuffer(b"".join([data for _, data in columns]), kind.columns(self._rows))
            values = data["values"]
            good = (values["tag"] == ord(kind.tag)).all(axis=1)
            indices = [index for index, _ in columns]
            numbers = values["number"]
            if not good.all():
                others += [index for index, one in zip(indices, good, strict=True) if not one]
                indices = [index for index, one in zip(indices, good, strict=True) if one]
                numbers = numbers[good]
            found.append((indices, block.numbers(numbers)))
        return found, others


def may_lack(values: Values) -> bool:
    """Whether some value may be NaN, or no number."""
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            total = values.sum() if isinstance(values, np.ndarray) else sum(values)
        return total is np.ma.masked or isnan(total)
    except (TypeError, ValueError, OverflowError):
        return True
