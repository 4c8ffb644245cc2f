"""The dense kernel: y = f(x @ W + b, streams), weights packed at build time, any count of rows.

The columns are cut into panels that fit the vector registers; a block of rows by a panel of columns
is accumulated in registers over the whole depth, and the epilogue f is evaluated on the way out.
For W of 512 x 100 and AVX-512 this emits

    for panel of 64 columns, then one of 32:
        for each 4 rows:                       acc[4, 64] = bias
            for k in 512:                      acc[i, :] += x[i, k] * W_panel[k, :]
            y[rows, panel] = f(acc, streams[rows, panel])
        for each 2 of the remaining rows, then each 1: the same
    the last 4 columns: a panel of 8, its store cut to 4

A stream's row for row i of x is i, i // M, i % M or 0 (`relay_passes/kernels/fuse_dense.py`).
Layers of up to 4 columns have a kernel of their own (`narrow_dense.py`). Packed weights are the
panels one behind the other, each [k, panel width], the last one padded with zeros; the bias is
padded alike. Panels of one width share a loop, which keeps the code short. Widths, rows, the
unrolling of k and which of the two outer loops is the outer one are the kernel's config
(`panels.py`), which `rtcompile tune` searches. A deep layer takes its depth in parts, of which each
does all panels before the next (`k_blocks.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.kernels.block_loops import each_panel, emit_blocks
from rtcompile.codegen.kernels.dense_shape import DenseShape
from rtcompile.codegen.kernels.epilogue_operands import (
    Stream,
    add_stream,
    apply_epilogue,
    length_argument,
    load_row,
    store_row,
    stream_buffers,
    without_addends,
)
from rtcompile.codegen.kernels.k_blocks import (
    Ahead,
    DepthPart,
    are_far,
    steps_a_part,
)
from rtcompile.codegen.kernels.panels import (
    Panel,
    PanelConfig,
    panel_configs,
    panels,
)
from rtcompile.codegen.program.program import TILE
from rtcompile.targets import Registers

__all__ = [
    "DENSE_KERNEL",
    "Buffers",
    "default_dense",
    "dense_configs",
    "dense_kernel",
    "dense_panels",
    "emit_panel",
]


# The name and version of the kernel in tuning records. Another version: old records do not count.
DENSE_KERNEL = ("dense", 2)

# Rows of a block, at most: 8 cut tiles of 16, 32 and 64 rows evenly.
_MOST_ROWS = 8

# Vectors of sums that a block needs to hide the time of a product, and that one row's has.
_FEWEST_VECTORS, _ONE_ROW_VECTORS = 12, 4


def default_dense(registers: Registers, most_rows: int, far: bool = False) -> PanelConfig:
    """The widest panel that the registers hold well; sums in half of them, or in 12.

    With fewer than 12 vectors of sums, each waits for the product before; more than half of 32
    gain nothing, and blocks of 4 or 8 rows leave no rest of a tile. But weights that are `far` are
    read from L2 by each block: there sums fill three quarters, and fewer blocks read them.
    """
    if most_rows == 1:
        return PanelConfig(max(_ONE_ROW_VECTORS * registers.bits // 32, 8), 1)
    width = registers.widest_panel()
    vectors = max(1, width * 32 // registers.bits)
    sums = registers.count * 3 // 4 if far else registers.count // 2
    return PanelConfig(width, max(sums, _FEWEST_VECTORS) // vectors)


def dense_configs(shape: DenseShape, registers: Registers, most_rows: int) -> list[PanelConfig]:
    """What there is to try, the default first."""
    default = default_dense(registers, most_rows, are_far(shape.weight_bytes))
    return list(dict.fromkeys([default, *panel_configs(registers, shape.columns, most_rows)]))


def dense_panels(columns: int, registers: Registers, config: PanelConfig) -> tuple[Panel, ...]:
    """The panels of a layer: those narrower than the config's have as many more rows a block."""

    def taller(panel: Panel) -> Panel:
        rows = min(config.rows * config.width // panel.width, _MOST_ROWS)
        return replace(panel, rows=max(panel.rows, min(rows, registers.block_rows(panel.width))))

    return tuple(map(taller, panels(columns, registers, config)))


def dense_kernel(shape: DenseShape, registers: Registers, config: PanelConfig | None = None) -> Any:
    """The kernel as a PrimFunc (x*, packed W*, packed b*, streams*, y*, rows, [length]).

    It takes the length of a sequence where a stream's rows depend on it. Where no config says
    otherwise, its blocks are those of a tile of 64 rows: 4 rows by 64 columns for AVX-512, 6 by 16
    for AVX2, 4 by 16 for NEON; 6 where the weights are far.
    """
    config = config or default_dense(registers, TILE, are_far(shape.weight_bytes))
    cut = dense_panels(shape.columns, registers, config)
    packed = sum(panel.width for panel in cut)
    with IRBuilder() as builder, T.prim_func(private=True, s_tir=True):
        T.func_name(shape.name)
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True})
        x = T.arg("x", T.handle("float32"))
        w = T.arg("w", T.handle("float32"))
        b = T.arg("b", T.handle("float32"))
        forms = shape.epilogue.streams
        streams = [T.arg(f"r{i}", T.handle("float32")) for i in range(len(forms))]
        y = T.arg("y", T.handle("float32"))
        rows = T.arg("rows", T.int64())
        period = length_argument(shape)
        buffers = Buffers(
            T.decl_buffer((rows, shape.depth), "float32", data=x),
            T.decl_buffer((shape.depth * packed,), "float32", data=w),
            T.decl_buffer((packed,), "float32", data=b),
            T.decl_buffer((rows, shape.columns), "float32", data=y),
            stream_buffers(shape, streams, rows, period),
        )
        if config.rows_outer:
            _emit_rows(shape, cut, buffers, rows, config.unroll)
        else:
            # Without a fused product the registers are full, and L3 is fast enough.
            _emit_parts(shape, cut, buffers, rows, config, fetches=registers.fused)
    return builder.get()


@dataclass(frozen=True)
class Buffers:
    """What a panel reads and writes; `bias` is None where it is zero."""

    source: Any
    weight: Any
    bias: Any
    target: Any
    streams: list[Stream]


def emit_panel(
    shape: DenseShape,
    panel: Panel,
    offset: Any,
    at: Buffers,
    rows: Any,
    part: DepthPart,
    first: Any = 0,
) -> None:
    """`rows` rows from `first` on, by one panel, or by a part of its depth."""

    ahead = None
    if part.far:
        size = part.depth * panel.width
        ahead = Ahead.of(at.weight, offset + size, part.depth, size, rows, panel.rows)

    def block(row: Any, height: int) -> None:
        _emit_block(shape, panel, offset, at, first + row, height, part, ahead)

    emit_blocks(panel.rows, rows, block)


def _emit_parts(
    shape: DenseShape,
    cut: Sequence[Panel],
    at: Buffers,
    rows: Any,
    config: PanelConfig,
    fetches: bool,
) -> None:
    """Part by part of the depth, each by all panels; `fetches` what is far ahead."""
    steps, packed = steps_a_part(shape.depth, config), sum(panel.width for panel in cut)
    far = fetches and config.rows > 1 and are_far(shape.weight_bytes)
    whole = -(-shape.depth // steps) - 1  # parts before the last one

    def emit(begin: Any, depth: int, first: bool, last: bool) -> None:
        part = DepthPart(begin, depth, first, last, config.unroll, far)

        def panel_of_part(panel: Panel, offset: Any) -> None:
            emit_panel(shape, panel, begin * packed + offset, at, rows, part)

        each_panel(depth, cut, panel_of_part)

    if whole:
        emit(0, steps, first=True, last=False)
    if whole > 1:
        with T.serial(tirx.const(whole - 1, "int64")) as index:
            emit((index + 1) * steps, steps, first=False, last=False)
    emit(whole * steps, shape.depth - whole * steps, first=not whole, last=True)


def _emit_rows(
    shape: DenseShape, cut: Sequence[Panel], at: Buffers, rows: Any, unroll: int
) -> None:
    """All rows, a block by every panel before the next block."""
    part = DepthPart(0, shape.depth, unroll=unroll)

    def block(row: Any, height: int) -> None:
        each_panel(
            shape.depth,
            cut,
            lambda panel, offset: _emit_block(shape, panel, offset, at, row, height, part),
        )

    emit_blocks(min(panel.rows for panel in cut), rows, block)


def _emit_block(
    shape: DenseShape,
    panel: Panel,
    offset: Any,
    at: Buffers,
    row: Any,
    height: int,
    part: DepthPart,
    ahead: Ahead | None = None,
) -> None:
    """`height` rows by one panel, accumulated in registers.

    One small buffer a row: a private function's buffer of 1,024 bytes or more would be allocated
    through the TVM runtime.
    """
    added, rest = without_addends(shape.epilogue)
    acc = [T.alloc_buffer((panel.width,), "float32") for _ in range(height)]
    for i in range(height):
        if not part.first:
            load_row(panel, at.target, acc[i], row + i)
            continue
        with T.vectorized(panel.width) as j:
            start = tirx.const(0, "float32") if at.bias is None else at.bias[panel.start + j]
            T.buffer_store(acc[i], start, [j])
        for index in added:
            add_stream(panel, at.streams[index], acc[i], row + i)

    def step(k: Any) -> None:
        if ahead and height == panel.rows:
            ahead.fetch(row, k)
        for i in range(height):
            with T.vectorized(panel.width) as j:
                weight = at.weight[offset + k * panel.width + j]
                T.buffer_store(acc[i], acc[i][j] + at.source[row + i, part.begin + k] * weight, [j])

    whole = part.depth // part.unroll
    if whole:
        with T.serial(whole) as turn:
            for each in range(part.unroll):
                step(turn * part.unroll + each)
    for k in range(whole * part.unroll, part.depth):
        step(k)
    for i in range(height):
        sums = acc[i]
        results = apply_epilogue(rest, panel, at.streams, sums, row + i) if part.last else sums
        store_row(panel, at.target, results, row + i)
