"""Memory that a kernel uses for one entry: joined texts, numbers of other features.

It is taken from the bottom up: what is in use lies below `top`, and whoever needs more writes from
there on. Its head (`runtime/abi/scratch.py`) says where an entry's part begins; below that is what
was made for the whole request. The runtime gives so many bytes for each byte of the columns
(`stage_entries.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit.pointers import ANY, values_at
from rtcompile.codegen.emit.structs import Struct
from rtcompile.codegen.emit.tir import i64
from rtcompile.runtime.abi.scratch import ScratchHeader

__all__ = ["Scratch"]


class Scratch:
    """`bytes`: the whole as bytes. `top`: the first byte that is free, an expression."""

    def __init__(self, pointer: Any) -> None:
        self._pointer = pointer
        self.bytes = T.decl_buffer((ANY,), "uint8", data=pointer)
        self._header = Struct(ScratchHeader, self._as("int64"))
        self.top: Any = T.Bind(self._header[ScratchHeader.TOP])

    def words(self, dtype: str) -> tuple[Any, Any]:
        """(the whole as values of eight bytes, the first of them that is free)."""
        return self._as(dtype), T.Bind((self.top + 7) >> 3)

    def _as(self, dtype: str) -> Any:
        return values_at(T.address_of(self.bytes[0]), dtype)

    def reserve(self, size: Any) -> Any:
        """Take `size` bytes, whole words, for the whole request; returns their address."""
        begin = T.Bind(self.top)
        self.top = T.Bind(begin + size)
        self._header[ScratchHeader.TOP] = self.top
        return T.Bind(self._header[ScratchHeader.ADDRESS] + begin)

    @contextmanager
    def above(self, top: Any) -> Iterator[None]:
        """For the code emitted inside, everything below `top` is in use."""
        before, self.top = self.top, top
        yield
        self.top = before

    def append(self, at: Any, text: Any, begin: Any, size: Any) -> Any:
        """Copy a piece of text to bytes[at:]; returns where it ends.

        Eight bytes a step: what is behind the piece is copied too, to where nothing is yet.
        """
        with T.serial((size + 7) >> 3) as k:
            eight = tirx.BufferLoad(text, [tirx.Ramp(begin + k * 8, i64(1), 8)])
            T.buffer_store(self.bytes, eight, [tirx.Ramp(at + k * 8, i64(1), 8)])
        return T.Bind(at + size)

    def underscore(self, at: Any) -> Any:
        """Put a "_"; returns where it ends."""
        T.buffer_store(self.bytes, tirx.const(ord("_"), "uint8"), [at])
        return T.Bind(at + 1)
