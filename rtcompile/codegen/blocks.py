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
whose width is known, so that a block is a few vectors.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.lanes import LANES, chunks

__all__ = ["BlockCopy", "BlocksKernel", "blocks_kernel", "kernel_widths"]

# Blocks of one width that are worth a kernel of that width, and the widest such.
_FEWEST, _WIDEST = 4, 64

_ROWS_AT_ONCE = 8


@dataclass(frozen=True)
class BlocksKernel:
    """What a kernel is specialised for. `width` is None where each block has its own."""

    dtype: str
    product: bool
    width: int | None

    @property
    def name(self) -> str:
        """Name of the kernel; equal forms share one."""
        kind = "products" if self.product else "copies"
        return "_".join(["blocks", kind, self.dtype, *([str(self.width)] if self.width else [])])


@dataclass(frozen=True)
class BlockCopy:
    """A block of a row: (first element, elements a row) of each source, its width and its place."""

    sources: tuple[tuple[int, int], ...]
    width: int
    place: int

    def row(self) -> list[int]:
        """Its row of the table."""
        return [*(value for source in self.sources for value in source), self.width, self.place]


def kernel_widths(copies: Sequence[BlockCopy]) -> dict[int | None, list[BlockCopy]]:
    """The blocks by the width that their kernel is made for; None: by any width."""
    counts = Counter(copy.width for copy in copies)
    found: dict[int | None, list[BlockCopy]] = {}
    for copy in copies:
        known = counts[copy.width] >= _FEWEST and copy.width <= _WIDEST
        found.setdefault(copy.width if known else None, []).append(copy)
    return found


def blocks_kernel(shape: BlocksKernel) -> Any:
    """A PrimFunc (arena*, [arena*,] table*, target*, rows, blocks, target width)."""
    count = 2 if shape.product else 1
    with IRBuilder() as builder, T.prim_func(private=True, s_tir=True):
        T.func_name(shape.name)
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True})
        arenas_at = [T.arg(f"arena_{i}", T.handle(shape.dtype)) for i in range(count)]
        table_at = T.arg("table", T.handle("int64"))
        target_at = T.arg("target", T.handle(shape.dtype))
        rows = T.arg("rows", T.int64())
        blocks = T.arg("blocks", T.int64())
        target_width = T.arg("target_width", T.int64())
        arenas = [T.decl_buffer((1 << 40,), shape.dtype, data=at) for at in arenas_at]
        table = T.decl_buffer((blocks, 2 * count + 2), "int64", data=table_at)
        target = T.decl_buffer((rows * target_width,), shape.dtype, data=target_at)
        groups = (rows + (_ROWS_AT_ONCE - 1)) // _ROWS_AT_ONCE
        with T.serial(groups) as group, T.serial(blocks) as block:
            first = [T.Bind(table[block, 2 * i]) for i in range(count)]
            steps = [T.Bind(table[block, 2 * i + 1]) for i in range(count)]
            width = T.Bind(table[block, 2 * count])
            place = T.Bind(table[block, 2 * count + 1])
            begin = T.Bind(group * _ROWS_AT_ONCE)
            with T.serial(T.Bind(tirx.min(rows - begin, _ROWS_AT_ONCE))) as which:
                row = T.Bind(begin + which)
                starts = [T.Bind(first[i] + row * steps[i]) for i in range(count)]
                _emit_row(shape, arenas, starts, width, target, row * target_width + place)
    return builder.get()


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
