"""Places for intermediates in the workspace: first fit over the free gaps, by lifetime."""

from __future__ import annotations

from rtcompile.codegen.program.program import align

__all__ = ["MemoryPlan"]


class MemoryPlan:
    """Hands out offsets in a workspace and takes them back."""

    def __init__(self) -> None:
        self._gaps: list[tuple[int, int]] = []  # (offset, size), by offset, never adjacent
        self._sizes: dict[int, int] = {}
        self.size = 0

    def take(self, size: int) -> int:
        """Offset of a free place of `size` bytes; it stays taken until `give`."""
        size = align(max(size, 1))
        for index, (offset, free) in enumerate(self._gaps):
            if free >= size:
                rest = [(offset + size, free - size)] if free > size else []
                self._gaps[index : index + 1] = rest
                self._sizes[offset] = size
                return offset
        offset = self.size
        if self._gaps and sum(self._gaps[-1]) == self.size:
            offset = self._gaps.pop()[0]
        self.size = offset + size
        self._sizes[offset] = size
        return offset

    def give(self, offset: int) -> None:
        """Take back the place at `offset`."""
        gaps = sorted([*self._gaps, (offset, self._sizes.pop(offset))])
        merged: list[tuple[int, int]] = []
        for start, size in gaps:
            if merged and sum(merged[-1]) == start:
                merged[-1] = (merged[-1][0], merged[-1][1] + size)
            else:
                merged.append((start, size))
        self._gaps = merged
