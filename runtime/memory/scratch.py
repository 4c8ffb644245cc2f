"""Memory that kernels join texts in, keep numbers in, and build the tables of maps in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rtcompile.runtime.abi.layout import Words
from rtcompile.runtime.abi.scratch import HEADER_BYTES, ScratchHeader
from rtcompile.runtime.ffi import tvm_ffi
from rtcompile.runtime.memory.arrays import aligned_empty
from rtcompile.runtime.memory.input_table import address

__all__ = ["Scratch", "ScratchMemory"]

# A terminating NUL, rounding up to words, a wide load behind the end.
_SLACK = 128


class ScratchMemory:
    """`size` bytes, at `address`. `tensor`: as the stages take it."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.array = aligned_empty(size, "uint8")
        self.tensor = tvm_ffi.from_dlpack(self.array)
        self.header: Words = self.array[:HEADER_BYTES].view("int64").data  # a ScratchHeader
        self.header[ScratchHeader.ADDRESS] = self.address = address(self.array)


class Scratch:
    """What a stage needs, from its description. Used again and again, so that its pages stay."""

    def __init__(self, description: Mapping[str, Any]) -> None:
        self.per_byte: int = description["scratch_per_byte"]
        self.per_shared: int = description["scratch_per_shared"]
        self.per_row: int = description["scratch_per_row"]
        self._bytes: int = HEADER_BYTES + description["scratch_bytes"] + _SLACK
        # One a running call. Lists append and pop atomically.
        self._idle: list[ScratchMemory] = []

    def take(self, bound: int, shared: int, rows: int) -> ScratchMemory:
        """For columns of `bound` bytes and values, `shared` of them in rows that count for all."""
        needed = self.per_byte * bound + self.per_shared * shared + self.fixed(rows)
        memory = self._idle.pop() if self._idle else None
        if memory is None or memory.size < needed:
            memory = ScratchMemory(needed + (0 if memory is None else needed // 4))
        memory.header[ScratchHeader.TOP] = HEADER_BYTES
        return memory

    def fixed(self, rows: int) -> int:
        """Bytes that are needed whatever the columns are."""
        return self._bytes + self.per_row * (rows + 2)

    def give_back(self, memory: ScratchMemory) -> None:
        """For another call."""
        self._idle.append(memory)
