"""Gather blocks of other tensors' rows into the rows of one: copies, and products of two.

    for each 8 rows:
        for block in range(blocks):
            source, step, width, place = table[block]
            for i in these rows:
                target[i, place : place + width] = arena[source + i * step : ... + width]

and with a second source, the product of both. Rows of thousands of columns lie so far apart that
few of them fit in the caches at once: hence 8 at a time, each written from end to end.

The table is an int64 constant, in elements. One kernel serves all blocks that lie in the same
arenas: code does not grow with their count. Blocks of one width that is met often have a kernel
whose width is known, so that a block is a few vectors. Copies from inputs of the stage, of which
each is an arena of its own, share a kernel too: it reads where they lie, in words, from the table
of inputs.

            entry, source, step, width, place = table[block]
            arena = ADDRESS of the entry + start * its ROW_BYTES
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit.pointers import ANY, values_at
from rtcompile.codegen.emit.structs import Struct
from rtcompile.codegen.kernels.lanes import LANES, chunks
from rtcompile.runtime.abi.stage import PortEntry

__all__ = ["BlockCopy", "BlocksKernel", "blocks_kernel", "kernel_widths"]

# Blocks of one width that are worth a kernel of that width, and the widest such.
_FEWEST, _WIDEST = 4, 64

_ROWS_AT_ONCE = 8


@dataclass(frozen=True)
class BlocksKernel:
    """What a kernel is specialised for. `width` is None where each block has its own.

    `inputs`: copies, from inputs of the stage.
    """

    dtype: str
    product: bool
    width: int | None
    inputs: bool = False

    @property
    def name(self) -> str:
        """Name of the kernel; equal forms share one."""
        kind = "products" if self.product else "inputs" if self.inputs else "copies"
        return "_".join(["blocks", kind, self.dtype, *([str(self.width)] if self.width else [])])


@dataclass(frozen=True)
class BlockCopy:
    """A block of a row: (first element, elements a row) of each source, its width and its place.

    `entry`: of an input, its place in the table of inputs.
    """

    sources: tuple[tuple[int, int], ...]
    width: int
    place: int
    entry: int | None = None

    def row(self) -> list[int]:
        """Its row of the table."""
        entry = [] if self.entry is None else [self.entry]
        sources = [value for source in self.sources for value in source]
        return [*entry, *sources, self.width, self.place]


def kernel_widths(copies: Sequence[BlockCopy]) -> dict[int | None, list[BlockCopy]]:
    """The blocks by the width that their kernel is made for; None: by any width."""
    counts = Counter(copy.width for copy in copies)
    found: dict[int | None, list[BlockCopy]] = {}
    for copy in copies:
        known = counts[copy.width] >= _FEWEST and copy.width <= _WIDEST
        found.setdefault(copy.width if known else None, []).append(copy)
    return found


def blocks_kernel(shape: BlocksKernel) -> Any:
    """A PrimFunc (arena*, [arena*,] table*, target*, rows, blocks, target width).

    Of inputs: (words*, table*, target*, rows, first row, blocks, target width).
    """
    count, entry = (2 if shape.product else 1), int(shape.inputs)
    with IRBuilder() as builder, T.prim_func(private=True, s_tir=True):
        T.func_name(shape.name)
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True})
        read = "int64" if shape.inputs else shape.dtype
        arenas_at = [T.arg(f"arena_{i}", T.handle(read)) for i in range(count)]
        table_at = T.arg("table", T.handle("int64"))
        target_at = T.arg("target", T.handle(shape.dtype))
        rows = T.arg("rows", T.int64())
        start = T.arg("start", T.int64()) if shape.inputs else None
        blocks = T.arg("blocks", T.int64())
        target_width = T.arg("target_width", T.int64())
        given = [T.decl_buffer((ANY,), read, data=at) for at in arenas_at]
        table = T.decl_buffer((blocks, entry + 2 * count + 2), "int64", data=table_at)
        target = T.decl_buffer((rows * target_width,), shape.dtype, data=target_at)
        groups = (rows + (_ROWS_AT_ONCE - 1)) // _ROWS_AT_ONCE
        with T.serial(groups) as group, T.serial(blocks) as block:
            words = [T.Bind(table[block, k]) for k in range(entry + 2 * count + 2)]
            arenas = given if start is None else [_input(shape, given[0], words[0], start)]
            *sources, width, place = words[entry:]
            begin = T.Bind(group * _ROWS_AT_ONCE)
            with T.serial(T.Bind(tirx.min(rows - begin, _ROWS_AT_ONCE))) as which:
                row = T.Bind(begin + which)
                starts = [T.Bind(sources[2 * i] + row * sources[2 * i + 1]) for i in range(count)]
                _emit_row(shape, arenas, starts, width, target, row * target_width + place)
    return builder.get()


def _input(shape: BlocksKernel, words: Any, entry: Any, start: Any) -> Any:
    """The input that an entry of the table of inputs is of, from row `start` on."""
    port = Struct(PortEntry, words, entry)
    at = port[PortEntry.ADDRESS] + start * port[PortEntry.ROW_BYTES]
    return values_at(T.Bind(at), shape.dtype)


def _emit_row(
    shape: BlocksKernel, arenas: list[Any], starts: list[Any], width: Any, target: Any, to: Any
) -> None:
    """One block of one row."""

    def store(at: Any) -> None:
        value = arenas[0][starts[0] + at]
        if shape.product:
            value = value * arenas[1][starts[1] + at]
        T.buffer_store(target, value, [to + at])

    if shape.width is not None:
        for start, lanes in chunks(shape.width):
            if lanes == 1:
                store(start)
            else:
                with T.vectorized(lanes) as j:
                    store(start + j)
        return
    whole = T.Bind(width // LANES)
    with T.serial(whole) as chunk, T.vectorized(LANES) as j:
        store(chunk * LANES + j)
    with T.serial(width - whole * LANES) as j:
        store(whole * LANES + j)
