"""Memory that kernels join texts and keep numbers in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from runtime.arrays import aligned_empty

__all__ = ["Scratch"]

# A terminating NUL, rounding up to words, a wide load behind the end.
_SLACK = 128
_UNUSED = aligned_empty(64, "uint8")


class Scratch:
    """What a stage needs, from its description."""

    def __init__(self, description: Mapping[str, Any]) -> None:
        self._per_byte: int = description["scratch_per_byte"]
        self._bytes: int = description["scratch_bytes"]

    def allocate(self, bound: int) -> npt.NDArray[np.uint8]:
        """For columns of `bound` bytes and values; where nothing is needed, always the same."""
        if not self._per_byte:
            return _UNUSED
        return aligned_empty(self._per_byte * bound + self._bytes + _SLACK, "uint8")
