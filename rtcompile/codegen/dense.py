"""The dense kernel: y = f(x @ W + b, streams), weights packed at build time, any count of rows.

The columns are cut into panels that fit the vector registers; a block of rows by a panel of columns
is accumulated in registers over the whole depth, and the epilogue f is evaluated on the way out.
For W of 512 x 100 and AVX-512 this emits

    for panel of 64 columns, then one of 32:
        for each 6 rows:                       acc[6, 64] = bias
            for k in 512:                      acc[i, :] += x[i, k] * W_panel[k, :]
            y[rows, panel] = f(acc, streams[rows, panel])
        for each 3 of the remaining rows, then each 1: the same
    the last 4 columns: a panel of 8, its store cut to 4

A stream's row for row i of x is i, i // M, i % M or 0 (`relay_passes/fuse_dense.py`). Layers of up
to 4 columns have a kernel of their own (`narrow_dense.py`).
Packed weights are the panels one behind the other, each [k, panel width], the last one padded with
zeros; the bias is padded alike.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

from relay_passes.epilogue import ACC, Epilogue, Step
from rtcompile.codegen.epilogue import evaluate, kept_steps, stream_row
from rtcompile.targets import Registers

__all__ = [
    "Buffers",
    "DenseShape",
    "Panel",
    "apply_epilogue",
    "dense_kernel",
    "emit_blocks",
    "emit_panel",
    "kernel_name",
    "pack_bias",
    "pack_weight",
    "panels",
    "store_row",
    "stream_buffers",
]


# A narrow panel's registers would hold more. Blocks of 8 rows gain a quarter at 64 rows of 8
# columns and lose a third at 7 rows, which they cut less well.
_MOST_ROWS = 6


_STORED = Epilogue()


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


def kernel_name(base: str, epilogue: Epilogue) -> str:
    """The name of a kernel with an epilogue: its operators, and a digest of all of it."""
    if not epilogue.steps:
        return base
    digest = hashlib.sha256(str(epilogue).encode()).hexdigest()[:8]
    operators = dict.fromkeys(step.operator for step in epilogue.steps)
    return "_".join([base, *operators, digest])


@dataclass(frozen=True)
class Panel:
    """`width` packed columns from column `start` on, of which `valid` are stored.

    `rows`: of the blocks that it is multiplied in.
    """

    start: int
    width: int
    valid: int
    rows: int


def panels(columns: int, registers: Registers, narrowest: int = 8) -> tuple[Panel, ...]:
    """Cut `columns` into the widest panels, then halves down to `narrowest`, the last padded."""
    cut, start, width = [], 0, registers.widest_panel()
    while start < columns:
        if columns - start >= width or width == narrowest:
            valid = min(width, columns - start)
            cut.append(Panel(start, width, valid, min(registers.block_rows(width), _MOST_ROWS)))
            start += valid
        else:
            width //= 2
    return tuple(cut)


def pack_weight(weight: npt.NDArray[np.float32], cut: tuple[Panel, ...]) -> npt.NDArray[np.float32]:
    """W [depth, columns] as panels one behind the other, flat float32."""
    parts = []
    for panel in cut:
        block = np.zeros((weight.shape[0], panel.width), np.float32)
        block[:, : panel.valid] = weight[:, panel.start : panel.start + panel.valid]
        parts.append(block.reshape(-1))
    return np.concatenate(parts)


def pack_bias(bias: npt.NDArray[np.float32], cut: tuple[Panel, ...]) -> npt.NDArray[np.float32]:
    """The bias [columns], padded with zeros where the panels are."""
    padded = np.zeros(sum(panel.width for panel in cut), np.float32)
    padded[: bias.shape[0]] = bias
    return padded


def dense_kernel(shape: DenseShape, registers: Registers) -> Any:
    """The kernel as a PrimFunc (x*, packed W*, packed b*, streams*, y*, rows).

    Its blocks fill the registers: 6 rows by 64 columns for AVX-512, by 16 for AVX2 and NEON.
    """
    cut = panels(shape.columns, registers)
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
        buffers = Buffers(
            T.decl_buffer((rows, shape.depth), "float32", data=x),
            T.decl_buffer((shape.depth * packed,), "float32", data=w),
            T.decl_buffer((packed,), "float32", data=b),
            T.decl_buffer((rows, shape.columns), "float32", data=y),
            stream_buffers(shape, streams, rows),
        )
        offset = 0
        for panel in cut:
            emit_panel(shape, panel, offset, buffers, rows)
            offset += shape.depth * panel.width
    return builder.get()


def stream_buffers(shape: DenseShape, pointers: Sequence[Any], rows: Any) -> list[Any]:
    """The streams of a kernel as buffers, [rows, columns] or, by value, [rows, 1]."""
    widths = [1 if form == "value" else shape.columns for form in shape.epilogue.streams]
    return [
        T.decl_buffer((rows, width), "float32", data=pointer)
        for width, pointer in zip(widths, pointers, strict=True)
    ]


@dataclass(frozen=True)
class Buffers:
    """What a panel reads and writes; `bias` is None where it is zero."""

    source: Any
    weight: Any
    bias: Any
    target: Any
    streams: list[Any]


def emit_panel(
    shape: DenseShape, panel: Panel, offset: int, at: Buffers, rows: Any, first: Any = 0
) -> None:
    """`rows` rows from `first` on, by one panel."""

    def block(row: Any, height: int) -> None:
        _emit_block(shape, panel, offset, at, first + row, height)

    emit_blocks(panel, rows, block)


def emit_blocks(panel: Panel, rows: Any, block: Callable[[Any, int], None]) -> None:
    """`rows` rows in blocks of the panel's, of half, then single: `block(first row, height)`."""
    done = tirx.const(0, "int64")
    for height in dict.fromkeys((panel.rows, panel.rows // 2, 1)):
        blocks = T.Bind((rows - done) // height)
        with T.serial(blocks) as i:
            block(done + i * height, height)
        done = T.Bind(done + blocks * height)


def _emit_block(
    shape: DenseShape, panel: Panel, offset: int, at: Buffers, row: Any, height: int
) -> None:
    """`height` rows by one panel, accumulated in registers.

    One small buffer a row: a private function's buffer of 1,024 bytes or more would be allocated
    through the TVM runtime.
    """
    forms = shape.epilogue.streams
    added, rest = _without_addends(shape.epilogue)
    acc = [T.alloc_buffer((panel.width,), "float32") for _ in range(height)]
    for i in range(height):
        with T.vectorized(panel.width) as j:
            start = tirx.const(0, "float32") if at.bias is None else at.bias[panel.start + j]
            T.buffer_store(acc[i], start, [j])
        for index in added:
            _add(forms[index], panel, at.streams[index], acc[i], row + i)
    with T.serial(shape.depth) as k:
        for i in range(height):
            with T.vectorized(panel.width) as j:
                product = at.source[row + i, k] * at.weight[offset + k * panel.width + j]
                T.buffer_store(acc[i], acc[i][j] + product, [j])
    given = list(zip(forms, at.streams, strict=True))
    for i in range(height):
        store_row(panel, at.target, apply_epilogue(rest, panel, given, acc[i], row + i), row + i)


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


def _add(form: str, panel: Panel, stream: Any, acc: Any, row: Any) -> None:
    """Add a stream's row to an accumulator."""
    kind = T.vectorized if panel.valid == panel.width else T.unroll
    place = T.Bind(stream_row(form, row))
    with kind(panel.valid) as j:
        T.buffer_store(acc, acc[j] + stream[place, panel.start + j], [j])


def apply_epilogue(
    epilogue: Epilogue, panel: Panel, given: list[tuple[str, Any]], acc: Any, row: Any
) -> Any:
    """The buffer of a row's results: the accumulator, overwritten. `given`: forms and streams."""
    if not epilogue.steps:
        return acc
    read = {operand for step in epilogue.steps for operand in step.operands}
    streams = {
        index: _stream(form, panel, buffer, row)
        for index, (form, buffer) in enumerate(given)
        if f"{form}:{index}" in read
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


def _stream(form: str, panel: Panel, stream: Any, row: Any) -> Callable[[Any], Any]:
    """A stream's value by column of the panel. A short panel is copied: it may be the last."""
    place = T.Bind(stream_row(form, row))
    if form == "value":
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
