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

A stream's row for row i of x is i, i // M, i % M or 0 (`relay_passes/fuse_dense.py`). Layers of up
to 4 columns have a kernel of their own (`narrow_dense.py`).
Packed weights are the panels one behind the other, each [k, panel width], the last one padded with
zeros; the bias is padded alike. Panels of one width share a loop, which keeps the code short.
Widths, rows, the unrolling of k and which of the two outer loops is the outer one are the kernel's
config (`panels.py`), which `rtcompile tune` searches.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

from relay_passes.epilogue import ACC, Epilogue, Step
from rtcompile.codegen.epilogue import evaluate, kept_steps, stream_row
from rtcompile.codegen.panels import Panel, PanelConfig, heights, panel_configs, panels
from rtcompile.codegen.program import TILE
from rtcompile.targets import Registers

__all__ = [
    "DENSE_KERNEL",
    "Buffers",
    "DenseShape",
    "Stream",
    "apply_epilogue",
    "default_dense",
    "dense_configs",
    "dense_kernel",
    "dense_panels",
    "each_panel",
    "emit_blocks",
    "emit_even_blocks",
    "emit_panel",
    "kernel_name",
    "length_argument",
    "store_row",
    "stream_buffers",
]


# The name and version of the kernel in tuning records. Another version: old records do not count.
DENSE_KERNEL = ("dense", 2)

_STORED = Epilogue()

# Rows of a block, at most: 8 cut tiles of 16, 32 and 64 rows evenly.
_MOST_ROWS = 8

# Vectors of sums that a block needs to hide the time of a product, and that one row's has.
_FEWEST_VECTORS, _ONE_ROW_VECTORS = 12, 4


@dataclass(frozen=True)
class DenseShape:
    """What a dense kernel is specialised for."""

    depth: int
    columns: int
    epilogue: Epilogue = _STORED

    @property
    def name(self) -> str:
        """Name of the kernel; equal shapes share one."""
        return kernel_name(f"dense_{self.depth}x{self.columns}", self.epilogue)

    def at_length(self, length: int) -> DenseShape:
        """The kernel for a sequence whose length is known: what is tuned in its place."""
        forms = {"div0": f"div{length}", "mod0": f"mod{length}"}
        return replace(self, epilogue=self.epilogue.with_forms(forms))

    @property
    def parameters(self) -> dict[str, int | str]:
        """What a tuning task of the kernel has."""
        return {"depth": self.depth, "columns": self.columns, "epilogue": str(self.epilogue)}


def kernel_name(base: str, epilogue: Epilogue) -> str:
    """The name of a kernel with an epilogue: its operators, and a digest of all of it."""
    if not epilogue.steps:
        return base
    digest = hashlib.sha256(str(epilogue).encode()).hexdigest()[:8]
    operators = dict.fromkeys(step.operator for step in epilogue.steps)
    return "_".join([base, *operators, digest])


def default_dense(registers: Registers, most_rows: int) -> PanelConfig:
    """The widest panel that the registers hold well; sums in half of them, or in 12.

    With fewer than 12 vectors of sums, each waits for the product before; more than half of 32
    gain nothing, and blocks of 4 or 8 rows leave no rest of a tile.
    """
    if most_rows == 1:
        return PanelConfig(max(_ONE_ROW_VECTORS * registers.bits // 32, 8), 1)
    width = registers.widest_panel()
    vectors = max(1, width * 32 // registers.bits)
    return PanelConfig(width, max(registers.count // 2, _FEWEST_VECTORS) // vectors)


def dense_configs(registers: Registers, columns: int, most_rows: int) -> list[PanelConfig]:
    """What there is to try, the default first."""
    default = default_dense(registers, most_rows)
    return list(dict.fromkeys([default, *panel_configs(registers, columns, most_rows)]))


def dense_panels(columns: int, registers: Registers, config: PanelConfig) -> tuple[Panel, ...]:
    """The panels of a layer: those narrower than the config's have as many more rows a block."""

    def taller(panel: Panel) -> Panel:
        rows = min(config.rows * config.width // panel.width, _MOST_ROWS)
        return replace(panel, rows=max(panel.rows, min(rows, registers.block_rows(panel.width))))

    return tuple(map(taller, panels(columns, registers, config)))


def dense_kernel(shape: DenseShape, registers: Registers, config: PanelConfig | None = None) -> Any:
    """The kernel as a PrimFunc (x*, packed W*, packed b*, streams*, y*, rows, [length]).

    It takes the length of a sequence where a stream's rows depend on it. Where no config says
    otherwise, its blocks are 4 rows by 64 columns for AVX-512, 6 by 16 for AVX2, 4 by 16 for NEON.
    """
    config = config or default_dense(registers, TILE)
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
        length = length_argument(shape)
        buffers = Buffers(
            T.decl_buffer((rows, shape.depth), "float32", data=x),
            T.decl_buffer((shape.depth * packed,), "float32", data=w),
            T.decl_buffer((packed,), "float32", data=b),
            T.decl_buffer((rows, shape.columns), "float32", data=y),
            stream_buffers(shape, streams, rows, length),
        )
        if config.rows_outer:
            _emit_rows(shape, cut, buffers, rows, config.unroll)
        else:
            each_panel(
                shape.depth,
                cut,
                lambda panel, offset: emit_panel(
                    shape, panel, offset, buffers, rows, unroll=config.unroll
                ),
            )
    return builder.get()


def length_argument(shape: DenseShape) -> Any:
    """The kernel's next parameter, where its epilogue asks for a sequence's length; else None."""
    return T.arg("length", T.int64()) if shape.epilogue.by_length else None


@dataclass(frozen=True)
class Stream:
    """What an epilogue reads: a buffer [rows, columns], by value [rows, 1], and by which rule."""

    form: str
    buffer: Any
    length: Any

    def row(self, row: Any) -> Any:
        """The row that belongs to `row` of x."""
        return stream_row(self.form, row, self.length)


def stream_buffers(
    shape: DenseShape, pointers: Sequence[Any], rows: Any, length: Any
) -> list[Stream]:
    """The streams of a kernel. `length`: of a sequence, where the epilogue asks for it."""
    return [
        Stream(
            form,
            T.decl_buffer((rows, 1 if form == "value" else shape.columns), "float32", data=pointer),
            length,
        )
        for form, pointer in zip(shape.epilogue.streams, pointers, strict=True)
    ]


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
    first: Any = 0,
    unroll: int = 1,
) -> None:
    """`rows` rows from `first` on, by one panel."""

    def block(row: Any, height: int) -> None:
        _emit_block(shape, panel, offset, at, first + row, height, unroll)

    emit_blocks(panel.rows, rows, block)


def _emit_rows(
    shape: DenseShape, cut: Sequence[Panel], at: Buffers, rows: Any, unroll: int
) -> None:
    """All rows, a block by every panel before the next block."""

    def block(row: Any, height: int) -> None:
        each_panel(
            shape.depth,
            cut,
            lambda panel, offset: _emit_block(shape, panel, offset, at, row, height, unroll),
        )

    emit_blocks(min(panel.rows for panel in cut), rows, block)


def each_panel(depth: int, cut: Sequence[Panel], emit: Callable[[Panel, Any], None]) -> None:
    """Emit each panel with where its weights begin; equal ones share a loop."""
    offset = 0
    for _, group in groupby(cut, lambda panel: replace(panel, start=0)):
        alike = list(group)
        panel, size = alike[0], depth * alike[0].width
        if len(alike) == 1:
            emit(panel, offset)
        else:
            with T.serial(tirx.const(len(alike), "int64")) as which:
                moved = replace(panel, start=panel.start + which * panel.width)
                emit(moved, offset + which * size)
        offset += len(alike) * size


def emit_blocks(most: int, rows: Any, block: Callable[[Any, int], None]) -> None:
    """`rows` rows in blocks of `most`, of half, down to single: `block(first row, height)`."""
    done = tirx.const(0, "int64")
    for height in heights(most):
        blocks = T.Bind((rows - done) // height)
        with T.serial(blocks) as i:
            block(done + i * height, height)
        done = T.Bind(done + blocks * height)


def emit_even_blocks(most: int, rows: Any, block: Callable[[Any, int], None]) -> None:
    """`rows` rows in blocks of `most`, and what is left of them in one block, or in two halves.

    A block of few rows takes as long as its weights take to come, so none is made much shorter
    than half where there are more rows: 64 rows by 6 are 10 blocks and one of 4; 61 rows are 9,
    one of 4 and one of 3.
    """
    over = T.Bind(rows % most)
    borrowed = _number_of(tirx.And(tirx.And(over > 0, over * 2 < most), rows >= most))
    blocks = _kept(rows // most - borrowed)
    left = T.Bind(rows - blocks * most)
    half = (left + 1) // 2
    first = T.Bind(tirx.Select(left > most, half, left))
    with T.serial(blocks) as i:
        block(i * most, most)
    done = _kept(blocks * most)
    for height in range(most - 1, 0, -1):
        count = _kept(_number_of(first == height) + _number_of(left - first == height))
        with T.serial(count) as i:
            block(done + i * height, height)
        done = _kept(done + count * height)


def _number_of(condition: Any) -> Any:
    return tirx.Cast("int64", condition)


def _kept(value: Any) -> Any:
    """`value` out of sight of TVM's simplifier, which would put it in every index again."""
    place = T.alloc_buffer((1,), "int64")
    T.buffer_store(place, value, [0])
    return T.Bind(place[0])


def _emit_block(
    shape: DenseShape, panel: Panel, offset: Any, at: Buffers, row: Any, height: int, unroll: int
) -> None:
    """`height` rows by one panel, accumulated in registers.

    One small buffer a row: a private function's buffer of 1,024 bytes or more would be allocated
    through the TVM runtime.
    """
    added, rest = _without_addends(shape.epilogue)
    acc = [T.alloc_buffer((panel.width,), "float32") for _ in range(height)]
    for i in range(height):
        with T.vectorized(panel.width) as j:
            start = tirx.const(0, "float32") if at.bias is None else at.bias[panel.start + j]
            T.buffer_store(acc[i], start, [j])
        for index in added:
            _add(panel, at.streams[index], acc[i], row + i)

    def step(k: Any) -> None:
        for i in range(height):
            with T.vectorized(panel.width) as j:
                product = at.source[row + i, k] * at.weight[offset + k * panel.width + j]
                T.buffer_store(acc[i], acc[i][j] + product, [j])

    whole = shape.depth // unroll
    if whole:
        with T.serial(whole) as k:
            for part in range(unroll):
                step(k * unroll + part)
    for k in range(whole * unroll, shape.depth):
        step(k)
    for i in range(height):
        results = apply_epilogue(rest, panel, at.streams, acc[i], row + i)
        store_row(panel, at.target, results, row + i)


def store_row(
    panel: Panel,
    target: Any,
    results: Any,
    row: Any,
    convert: Callable[[Any], Any] = lambda value: value,
) -> None:
    """Store a panel's columns of a row, as what `convert` makes of them."""
    kind = T.vectorized if panel.valid == panel.width else T.unroll
    with kind(panel.valid) as j:
        T.buffer_store(target, convert(results[j]), [row, panel.start + j])


def _without_addends(epilogue: Epilogue) -> tuple[list[int], Epilogue]:
    """(the streams that are added first, what is left to do with the sum).

    What is added can start the accumulators: it needs no registers of its own behind the loop.
    """
    read = [operand for step in epilogue.steps for operand in step.operands]
    added, last = [], ACC
    for index, step in enumerate(epilogue.steps):
        others = [operand for operand in step.operands if operand != last]
        addend = step.operator == "add" and len(others) == 1 and ":" in others[0]
        if not addend or read.count(last) != 1 or others[0].startswith("value"):
            break
        added.append(_number(others[0]))
        last = f"s{index}"
    names = {f"s{i}": f"s{i - len(added)}" for i in range(len(added), len(epilogue.steps))}
    names[last] = ACC
    rest = tuple(
        Step(step.operator, tuple(names.get(operand, operand) for operand in step.operands))
        for step in epilogue.steps[len(added) :]
    )
    return added, Epilogue(rest)


def _add(panel: Panel, stream: Stream, acc: Any, row: Any) -> None:
    """Add a stream's row to an accumulator."""
    kind = T.vectorized if panel.valid == panel.width else T.unroll
    place = T.Bind(stream.row(row))
    with kind(panel.valid) as j:
        T.buffer_store(acc, acc[j] + stream.buffer[place, panel.start + j], [j])


def apply_epilogue(
    epilogue: Epilogue, panel: Panel, given: Sequence[Stream], acc: Any, row: Any
) -> Any:
    """The buffer of a row's results: the accumulator, overwritten. `given`: all streams."""
    if not epilogue.steps:
        return acc
    read = {operand for step in epilogue.steps for operand in step.operands}
    streams = {
        index: _stream(stream, panel, row)
        for index, stream in enumerate(given)
        if f"{stream.form}:{index}" in read
    }
    buffers: dict[int, Any] = {}

    def store(index: int, target: Any) -> None:
        with T.vectorized(panel.width) as j:
            kept = {step: buffer[j] for step, buffer in buffers.items()}
            read = lambda text: acc[j] if text == ACC else streams[_number(text)](j)  # noqa: E731
            T.buffer_store(target, evaluate(epilogue, index, read, kept), [j])

    for index in kept_steps(epilogue):
        kept = T.alloc_buffer((panel.width,), "float32")
        store(index, kept)
        buffers[index] = kept
    store(len(epilogue.steps) - 1, acc)
    return acc


def _number(operand: str) -> int:
    return int(operand.split(":")[1])


def _stream(given: Stream, panel: Panel, row: Any) -> Callable[[Any], Any]:
    """A stream's value by column of the panel. A short panel is copied: it may be the last."""
    place, stream = T.Bind(given.row(row)), given.buffer
    if given.form == "value":
        value = T.Bind(stream[place, 0])
        return lambda j: value
    if panel.valid == panel.width:
        return lambda j: stream[place, panel.start + j]
    copied = T.alloc_buffer((panel.width,), "float32")
    with T.vectorized(panel.width) as j:
        T.buffer_store(copied, tirx.const(0, "float32"), [j])
    with T.unroll(panel.valid) as j:
        T.buffer_store(copied, stream[place, panel.start + j], [j])
    return lambda j: copied[j]
