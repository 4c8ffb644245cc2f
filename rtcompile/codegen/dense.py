"""The dense kernel: y = act(x @ W + b + addends), weights packed at build time, any count of rows.

The columns are cut into panels that fit the vector registers; a block of rows by a panel of columns
is accumulated in registers over the whole depth, and bias and activation are applied on the way
out. For W of 512 x 100 and AVX-512 this emits

    for panel of 64 columns, then one of 32:
        for each 6 rows:                       acc[6, 64] = bias + addends
            for k in 512:                      acc[i, :] += x[i, k] * W_panel[k, :]
            y[rows, panel] = act(acc)
        for each 3 of the remaining rows, then each 1: the same
    the last 4 columns: a panel of 8, its store cut to 4

An addend's row for row i of x is i, i // M, i % M or 0 (`relay_passes/fuse_dense.py`).
Packed weights are the panels one behind the other, each [k, panel width], the last one padded with
zeros; the bias is padded alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.vector_math import sigmoid, tanh
from rtcompile.targets import Registers

__all__ = [
    "Buffers",
    "DenseShape",
    "Panel",
    "dense_kernel",
    "emit_panel",
    "pack_bias",
    "pack_weight",
    "panels",
]


# A narrow panel's registers would hold more. Blocks of 8 rows gain a quarter at 64 rows of 8
# columns and lose a third at 7 rows, which they cut less well.
_MOST_ROWS = 6


@dataclass(frozen=True)
class DenseShape:
    """What a dense kernel is specialised for: depth, columns, activation, forms of addends."""

    depth: int
    columns: int
    activation: str  # "none", "relu", "sigmoid" or "tanh"
    addends: tuple[str, ...] = ()  # "each", "divM", "modM" or "one"

    @property
    def name(self) -> str:
        """Name of the kernel; equal shapes share one."""
        return "_".join([f"dense_{self.depth}x{self.columns}", self.activation, *self.addends])


@dataclass(frozen=True)
class Panel:
    """`width` packed columns from column `start` on, of which `valid` are stored.

    `rows`: of the blocks that it is multiplied in.
    """

    start: int
    width: int
    valid: int
    rows: int


def panels(columns: int, registers: Registers) -> tuple[Panel, ...]:
    """Cut `columns` into the widest panels, then halves down to 8, then one padded panel."""
    cut, start, width = [], 0, registers.widest_panel()
    while start < columns:
        if columns - start >= width or width == 8:
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
    """The kernel as a PrimFunc (x*, packed W*, packed b*, addends*, y*, rows).

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
        added = [T.arg(f"r{i}", T.handle("float32")) for i in range(len(shape.addends))]
        y = T.arg("y", T.handle("float32"))
        rows = T.arg("rows", T.int64())
        buffers = Buffers(
            T.decl_buffer((rows, shape.depth), "float32", data=x),
            T.decl_buffer((shape.depth * packed,), "float32", data=w),
            T.decl_buffer((packed,), "float32", data=b),
            T.decl_buffer((rows, shape.columns), "float32", data=y),
            [T.decl_buffer((rows, shape.columns), "float32", data=r) for r in added],
        )
        offset = 0
        for panel in cut:
            emit_panel(shape, panel, offset, buffers, rows)
            offset += shape.depth * panel.width
    return builder.get()


@dataclass(frozen=True)
class Buffers:
    """What a panel reads and writes; `bias` is None where it is zero."""

    source: Any
    weight: Any
    bias: Any
    target: Any
    addends: list[Any]


def emit_panel(
    shape: DenseShape, panel: Panel, offset: int, at: Buffers, rows: Any, first: Any = 0
) -> None:
    """`rows` rows from `first` on, by one panel: in blocks of its rows, of half, then single."""
    done = tirx.const(0, "int64")
    for height in dict.fromkeys((panel.rows, panel.rows // 2, 1)):
        blocks = T.Bind((rows - done) // height)
        with T.serial(blocks) as block:
            _emit_block(shape, panel, offset, at, first + done + block * height, height)
        done = T.Bind(done + blocks * height)


def _emit_block(
    shape: DenseShape, panel: Panel, offset: int, at: Buffers, row: Any, height: int
) -> None:
    """`height` rows by one panel, accumulated in registers.

    One small buffer a row: a private function's buffer of 1,024 bytes or more would be allocated
    through the TVM runtime.
    """
    acc = [T.alloc_buffer((panel.width,), "float32") for _ in range(height)]
    for i in range(height):
        with T.vectorized(panel.width) as j:
            start = tirx.const(0, "float32") if at.bias is None else at.bias[panel.start + j]
            T.buffer_store(acc[i], start, [j])
        _add(shape, panel, at, acc[i], row + i)
    with T.serial(shape.depth) as k:
        for i in range(height):
            with T.vectorized(panel.width) as j:
                product = at.source[row + i, k] * at.weight[offset + k * panel.width + j]
                T.buffer_store(acc[i], acc[i][j] + product, [j])
    kind = T.vectorized if panel.valid == panel.width else T.unroll
    for i in range(height):
        if shape.activation in _CURVES:
            with T.vectorized(panel.width) as j:
                T.buffer_store(acc[i], _CURVES[shape.activation](acc[i][j]), [j])
        with kind(panel.valid) as j:
            value = acc[i][j]
            if shape.activation == "relu":
                value = tirx.max(value, tirx.const(0, "float32"))
            T.buffer_store(at.target, value, [row + i, panel.start + j])


_CURVES = {"sigmoid": sigmoid, "tanh": tanh}


def _add(shape: DenseShape, panel: Panel, at: Buffers, acc: Any, row: Any) -> None:
    """Add the addends' rows to an accumulator."""
    kind = T.vectorized if panel.valid == panel.width else T.unroll
    for form, addend in zip(shape.addends, at.addends, strict=True):
        place = T.Bind(_addend_row(form, row))
        with kind(panel.valid) as j:
            T.buffer_store(acc, acc[j] + addend[place, panel.start + j], [j])


def _addend_row(form: str, row: Any) -> Any:
    if form == "each":
        return row
    if form == "one":
        return tirx.const(0, "int64")
    period = tirx.const(int(form[3:]), "int64")
    return tirx.floordiv(row, period) if form.startswith("div") else tirx.floormod(row, period)
