"""The bfloat16 dense kernel: y = f(x @ W + bias), pairs of bfloat16 multiplied, summed in float32.

`output` "uint16" stores bfloat16, for a layer that reads it. For a panel of 64 columns this emits

    for each 6 rows, and what is left:     acc[6, 64] = bias[panel]
        for pair in depth / 2:             acc[i, :] += x[i, pair] . W_panel[pair, :]
        y[rows, panel] = f(acc, streams)

Packed weights are the panels one behind the other, each [depth / 2, width, 2], padded with zeros.
x comes from `round_kernel`, which rounds float32 rows; a row has the depth rounded up to pairs, and
what is behind the depth is zero: a NaN there would spoil the row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.kernels.block_loops import each_panel, emit_even_blocks
from rtcompile.codegen.kernels.dense import Buffers
from rtcompile.codegen.kernels.dense_shape import DenseShape
from rtcompile.codegen.kernels.dot_bf16 import (
    BF16_LANES,
    dot_bf16,
    padded_pairs,
    to_bf16,
    vector_to_bf16,
)
from rtcompile.codegen.kernels.epilogue_operands import (
    apply_epilogue,
    length_argument,
    store_row,
    stream_buffers,
)
from rtcompile.codegen.kernels.lanes import LANES, chunks
from rtcompile.codegen.kernels.panels import Panel, PanelConfig, panels
from rtcompile.errors import UnsupportedError
from rtcompile.relay_passes.kernels.quantize_dense import PAIR
from rtcompile.targets import Registers

__all__ = [
    "DENSE_BF16_KERNEL",
    "bf16_name",
    "bf16_panels",
    "dense_bf16_kernel",
    "pack_bf16_weight",
    "round_kernel",
    "round_name",
]

# The name and version of the kernel in tuning records.
DENSE_BF16_KERNEL = ("dense_bf16", 2)


def bf16_name(shape: DenseShape, output: str) -> str:
    """Name of the kernel; equal shapes share one."""
    return f"bf16_{output}_{shape.name}"


def bf16_panels(
    columns: int, registers: Registers, config: PanelConfig | None = None
) -> tuple[Panel, ...]:
    """Panels of whole vectors of sums. Raises UnsupportedError where nothing multiplies bf16."""
    if not registers.bf16:
        raise UnsupportedError(
            "bf16 layers need an instruction that multiplies pairs of bfloat16 (AVX512-BF16): "
            "without one they would be slower than float32"
        )
    return panels(columns, registers, config, BF16_LANES)


def pack_bf16_weight(
    bits: npt.NDArray[np.uint16], cut: tuple[Panel, ...]
) -> npt.NDArray[np.uint16]:
    """The bits of W [depth, columns] as the kernel reads them, flat uint16."""
    depth, parts = PAIR * padded_pairs(bits.shape[0]), []
    for panel in cut:
        block = np.zeros((depth, panel.width), np.uint16)
        block[: bits.shape[0], : panel.valid] = bits[:, panel.start : panel.start + panel.valid]
        parts.append(block.reshape(depth // PAIR, PAIR, -1).transpose(0, 2, 1).reshape(-1))
    return np.concatenate(parts)


@dataclass(frozen=True)
class _Operands:
    source: Any  # int32 [rows, pairs]
    weight: Any  # int32, a pair an element


def dense_bf16_kernel(
    shape: DenseShape,
    registers: Registers,
    output: str = "float32",
    config: PanelConfig | None = None,
) -> Any:
    """A PrimFunc (x*, W*, bias*, streams*, y*, rows, [length]).

    y is float32, or rows of pairs in uint16.
    """
    cut, pairs = bf16_panels(shape.columns, registers, config), padded_pairs(shape.depth)
    width = sum(panel.width for panel in cut)
    stored = shape.columns if output == "float32" else PAIR * padded_pairs(shape.columns)
    with IRBuilder() as builder, T.prim_func(private=True, s_tir=True):
        T.func_name(bf16_name(shape, output))
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True})
        x, w = T.arg("x", T.handle("int32")), T.arg("w", T.handle("int32"))
        bias = T.arg("bias", T.handle("float32"))
        count = len(shape.epilogue.streams)
        streams = [T.arg(f"r{i}", T.handle("float32")) for i in range(count)]
        y = T.arg("y", T.handle(output))
        rows = T.arg("rows", T.int64())
        period = length_argument(shape)
        buffers = Buffers(
            None,
            None,
            T.decl_buffer((width,), "float32", data=bias),
            T.decl_buffer((rows, stored), output, data=y),
            stream_buffers(shape, streams, rows, period),
        )
        operands = _Operands(
            T.decl_buffer((rows, pairs), "int32", data=x),
            T.decl_buffer((pairs * width,), "int32", data=w),
        )

        def emit(panel: Panel, offset: Any) -> None:
            block = _block(shape, panel, offset, buffers, operands)
            emit_even_blocks(panel.rows, rows, block)

        each_panel(pairs, cut, emit)
        if stored > shape.columns:
            with T.serial(rows) as i:
                T.buffer_store(buffers.target, tirx.const(0, "uint16"), [i, shape.columns])
    return builder.get()


def _block(
    shape: DenseShape, panel: Panel, offset: Any, at: Buffers, given: _Operands
) -> Callable[[Any, int], None]:
    """The code of `height` rows from `row` on by one panel."""
    vectors, whole = panel.width // BF16_LANES, tirx.Ramp(0, 1, BF16_LANES)

    def emit(row: Any, height: int) -> None:
        acc = [
            [T.alloc_buffer((BF16_LANES,), "float32") for _ in range(vectors)]
            for _ in range(height)
        ]
        for sums in acc:
            for v, one in enumerate(sums):
                with T.vectorized(BF16_LANES) as j:
                    T.buffer_store(one, at.bias[panel.start + v * BF16_LANES + j], [j])
        with T.serial(padded_pairs(shape.depth)) as k:
            for i, sums in enumerate(acc):
                for v, one in enumerate(sums):
                    first = offset + (k * vectors + v) * BF16_LANES
                    weights = tirx.BufferLoad(given.weight, [tirx.Ramp(first, 1, BF16_LANES)])
                    loaded = tirx.BufferLoad(one, [whole])
                    result = dot_bf16(loaded, given.source[row + i, k], weights)
                    T.buffer_store(one, result, [whole])
        for i, sums in enumerate(acc):
            joined = _joined(panel, sums)
            results = apply_epilogue(shape.epilogue, panel, at.streams, joined, row + i)
            _store(panel, at.target, results, row + i)

    return emit


def _store(panel: Panel, target: Any, results: Any, row: Any) -> None:
    """Store a row's columns, whole vectors of bfloat16 by the instruction."""
    if str(target.dtype) == "float32":
        store_row(panel, target, results, row)
    elif panel.valid < panel.width:
        store_row(panel, target, results, row, to_bf16)
    else:
        for start in range(0, panel.width, BF16_LANES):
            values = tirx.BufferLoad(results, [tirx.Ramp(start, 1, BF16_LANES)])
            place = [row, tirx.Ramp(panel.start + start, 1, BF16_LANES)]
            T.buffer_store(target, vector_to_bf16(values), place)


def _joined(panel: Panel, sums: list[Any]) -> Any:
    """A row's vectors side by side, [panel width]."""
    result = T.alloc_buffer((panel.width,), "float32")
    for v, one in enumerate(sums):
        with T.vectorized(BF16_LANES) as j:
            T.buffer_store(result, one[j], [v * BF16_LANES + j])
    return result


def round_name(depth: int) -> str:
    """Name of the kernel; equal depths share one."""
    return f"round_rows_{depth}"


def round_kernel(depth: int) -> Any:
    """A PrimFunc (x*, y*, rows): float32 [rows, depth] to bfloat16, rows padded to pairs."""
    with IRBuilder() as builder, T.prim_func(private=True, s_tir=True):
        T.func_name(round_name(depth))
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True})
        x_at, y_at = T.arg("x", T.handle("float32")), T.arg("y", T.handle("uint16"))
        rows = T.arg("rows", T.int64())
        x = T.decl_buffer((rows, depth), "float32", data=x_at)
        y = T.decl_buffer((rows, PAIR * padded_pairs(depth)), "uint16", data=y_at)
        whole = depth // LANES
        with T.serial(rows) as i:
            if whole:
                with T.serial(whole) as block:
                    vector = tirx.Ramp(block * LANES, 1, LANES)
                    values = tirx.BufferLoad(x, [i, vector])
                    T.buffer_store(y, vector_to_bf16(values), [i, vector])
            for start, count in chunks(depth - whole * LANES):
                with T.vectorized(count) as j:
                    k = whole * LANES + start + j
                    T.buffer_store(y, to_bf16(x[i, k]), [i, k])
            if depth % PAIR:
                T.buffer_store(y, tirx.const(0, "uint16"), [i, depth])
    return builder.get()
