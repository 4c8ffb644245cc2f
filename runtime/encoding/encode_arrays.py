"""Arrays of integers and of fixed-width strings as texts: many columns at once, no value alone.

Columns of one dtype are put together, made bytes and lengths by a few array operations, and
appended as one.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rtcompile.runtime.encoding.encode_block import Block, Found
from rtcompile.runtime.encoding.plain_values import Values

__all__ = ["TextArrays"]

_ZERO = ord("0")
_ASCII = 128

# The bytes of all texts, and how many each has.
_Texts = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]


class TextArrays:
    """Collects columns of one length, at least one."""

    def __init__(self) -> None:
        self._columns: dict[np.dtype[np.generic], list[tuple[int, npt.NDArray[np.generic]]]] = {}

    def take(self, index: int, values: Values) -> bool:
        """Whether column `index` may be one: then it has been added."""
        if not isinstance(values, np.ndarray) or values.ndim != 1:
            return False
        dtype = values.dtype
        if dtype.kind not in "iubSU" or dtype.itemsize == 0:
            return False
        self._columns.setdefault(dtype, []).append((index, values))
        return True

    def append(self, block: Block) -> tuple[list[Found], list[int]]:
        """Append all to the block: the places of their offsets, and columns that were none."""
        found: list[Found] = []
        others: list[int] = []
        for dtype, columns in self._columns.items():
            indices = [index for index, _ in columns]
            values = np.concatenate([array for _, array in columns])
            texts = _strings(values) if dtype.kind in "SU" else _integers(values)
            if texts is None:
                others += indices
                continue
            found.append((indices, block.pieces(*texts)))
        return found, others


def _integers(values: npt.NDArray[np.generic]) -> _Texts | None:
    """Decimal digits. None for what int64 does not hold."""
    if values.dtype == np.uint64 and values.max() >= np.uint64(1 << 63):
        return None
    signed = values.astype(np.int64)
    negative = signed < 0
    left = np.abs(signed).view(np.uint64)  # also of -2**63, which abs leaves as it is
    most = int(left.max())
    if most < 1 << 32:
        left = left.astype(np.uint32)
    width = len(str(most))
    digits = np.empty((len(left), width + 1), np.uint8)
    wanted = np.zeros(digits.shape, np.bool_)
    wanted[:, width] = True
    lengths = negative.astype(np.int64) + 1
    for place in range(width, 0, -1):
        rest = left // 10
        digits[:, place] = left - rest * 10 + _ZERO
        left = rest
        if place > 1:
            more = left != 0
            wanted[:, place - 1] = more
            lengths += more
    if negative.any():
        rows = np.flatnonzero(negative)
        places = width + 1 - lengths[rows]
        digits[rows, places], wanted[rows, places] = ord("-"), True
    return digits[wanted], lengths


def _strings(values: npt.NDArray[np.generic]) -> _Texts | None:
    """Their bytes, without the NULs behind them. None where some character is not ASCII."""
    if values.dtype.kind == "U":
        native = values.astype(values.dtype.newbyteorder("="), copy=False)
        letters = native.view(np.uint32).reshape(len(values), -1)
        if letters.max(initial=0) >= _ASCII:
            return None
        table = letters.astype(np.uint8)
    else:
        table = values.view(np.uint8).reshape(len(values), -1)
    width = table.shape[1]
    there = table != 0
    if there[:, -1].all():
        return table.reshape(-1), np.full(len(table), width, np.int64)
    if (there[:, 1:] > there[:, :-1]).any():  # there are NULs within
        there = np.logical_or.accumulate(there[:, ::-1], axis=1)[:, ::-1]
    return table[there], there.sum(axis=1, dtype=np.int32).astype(np.int64)
