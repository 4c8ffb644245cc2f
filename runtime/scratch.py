"""Memory that kernels join texts in, keep numbers in, and build the tables of maps in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from runtime.arrays import aligned_empty

__all__ = ["Scratch"]

_HEADER = 64
# A terminating NUL, rounding up to words, a wide load behind the end.
_SLACK = 128


class Scratch:
    """What a stage needs, from its description. Used again and again, so that its pages stay."""

    def __init__(self, description: Mapping[str, Any]) -> None:
        self._per_byte: int = description["scratch_per_byte"]
        self._per_shared: int = description["scratch_per_shared"]
        self._per_row: int = description["scratch_per_row"]
        self._bytes: int = _HEADER + description["scratch_bytes"] + _SLACK
        # One a running call. Lists append and pop atomically.
        self._idle: list[npt.NDArray[np.uint8]] = []

    @contextmanager
    def lent(self, bound: int, shared: int, rows: int) -> Iterator[npt.NDArray[np.uint8]]:
        """For columns of `bound` bytes and values, `shared` of them in rows that count for all."""
        needed = self._per_byte * bound + self._per_shared * shared + self._bytes
        needed += self._per_row * (rows + 2)
        memory = self._idle.pop() if self._idle else aligned_empty(needed, "uint8")
        if len(memory) < needed:
            memory = aligned_empty(needed + needed // 4, "uint8")
        # Where the part of an entry begins, and where the memory lies.
        memory[:16].view(np.int64)[:] = _HEADER, memory.__array_interface__["data"][0]
        yield memory
        self._idle.append(memory)
