"""The calls that stand for checks of values that data decides: their names, and what these hold.

    rtc.check_index.EXTENTS.MODE.TABLE(ids)      int64, each in [0, extent): that of its column
    rtc.check_number.DTYPE.TABLE(numbers)        a float, or a wider integer, as an integer
    rtc.check_divisor.UNIT(divisors)             none of them 0

What does not pass is told in the status words, and the call gives what does no harm: index 0,
divisor 1. EXTENTS: one, or one for each place of the last axis, joined by "x". MODE "wrap" counts
negative indices from the end. TABLE is the digest of the table's values in hex digits, the operator
that reads, or says whose lengths they are. UNIT "unit" gives 1 for -1 too.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "CHECKS",
    "CHECK_DIVISOR",
    "CHECK_INDEX",
    "CHECK_NUMBER",
    "array_digest",
    "index_extents",
    "index_wraps",
    "is_lengths",
    "lengths_label",
    "table_label",
]

CHECK_INDEX = "rtc.check_index"
CHECK_NUMBER = "rtc.check_number"
CHECK_DIVISOR = "rtc.check_divisor"

CHECKS = (CHECK_INDEX, CHECK_NUMBER, CHECK_DIVISOR)


def array_digest(array: npt.NDArray[Any]) -> bytes:
    """A key for the values of an array."""
    return hashlib.sha256(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data).digest()


def index_extents(symbol: str) -> list[int]:
    """EXTENTS of a check of indices."""
    return [int(extent) for extent in symbol.split(".")[2].split("x")]


def index_wraps(symbol: str) -> bool:
    """Whether a check of indices counts negative ones from the end."""
    return symbol.split(".")[3] == "wrap"


def lengths_label(operator: str, steps: int) -> str:
    """TABLE of the lengths of an operator's sequences."""
    return f"lengths_0_to_{steps}_of_{operator}"


def is_lengths(label: str) -> bool:
    """Whether a TABLE is that of lengths."""
    return label.startswith("lengths_")


def table_label(symbol: str) -> str:
    """TABLE of a check of indices or numbers."""
    return symbol.rsplit(".", 1)[1]
