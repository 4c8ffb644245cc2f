"""Bytes that lie in several buffers, one behind another: tables are too large to be joined."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["Pieces", "Sections"]

Bytes = npt.NDArray[np.uint8]


class Pieces:
    """`pieces`: bytes, or arrays of them, that no one writes to any more."""

    def __init__(self, pieces: Sequence[bytes | Bytes]) -> None:
        self._pieces = [
            np.frombuffer(piece, np.uint8) if isinstance(piece, bytes) else piece
            for piece in pieces
        ]

    @staticmethod
    def of(data: bytes | Pieces) -> Pieces:
        """Bytes as one piece."""
        return Pieces([data]) if isinstance(data, bytes) else data

    def __len__(self) -> int:
        return sum(piece.size for piece in self._pieces)

    def __iter__(self) -> Iterator[memoryview]:
        return (piece.data for piece in self._pieces)

    def begins_with(self, other: Pieces) -> bool:
        """Whether the first bytes are all those of `other`, however both are cut."""
        if len(other) > len(self):
            return False
        rest, own = iter(self._pieces), np.empty(0, np.uint8)
        for piece in other._pieces:
            left = piece
            while left.size:
                if not own.size:
                    own = next(rest)
                    continue
                size = min(left.size, own.size)
                same = left.ctypes.data == own.ctypes.data
                if not same and left[:size].data != own[:size].data:
                    return False
                left, own = left[size:], own[size:]
        return True

    def joined(self) -> bytes:
        """All of it in one."""
        return b"".join(self)


# Of an artifact, by name.
Sections = dict[str, "bytes | Pieces"]
