"""The int8 dense kernel: y = f(factor * (q @ W + start) + bias), sums of bytes in int32.

q is uint8 with a scale s and a zero point z, W int8 with a scale t a column. What that takes is
constant:

    x = s (q - z),  w[k, j] = t[j] w'[k, j]
    (x @ w)[j] = s t[j] (q @ w'[:, j] - z sum_k w'[k, j])

so the sums begin with `start`, and the way out multiplies by `factor`, s t[j], and by the row's
scale, where it has one. For a panel of 64 columns and AVX512-VNNI this emits

    for each 6 rows, and what is left:     acc[6, 64] = start[panel]
        for four in depth / 4:             acc[i, :] += q[i, four] . W_panel[four, :]
        y[rows, panel] = f(float(acc) * factor[panel] + bias[panel], streams)

and where the next layer reads bytes, by the range [1 / s, z] of its own:

        y[rows, panel] = trunc(clamp(f(...) * inverse + (zero + 0.5), 0, 255.5))

Packed weights are the panels one behind the other, each [depth / 4, width, 4], padded with zeros.
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
from rtcompile.codegen.kernels.dot_product import DOT_PRODUCTS, DotProduct
from rtcompile.codegen.kernels.epilogue_operands import (
    apply_epilogue,
    length_argument,
    store_row,
    stream_buffers,
)
from rtcompile.codegen.kernels.k_blocks import Ahead, are_far
from rtcompile.codegen.kernels.panels import Panel, PanelConfig, panels
from rtcompile.codegen.kernels.quantize_rows import (
    ABOVE,
    bounded_byte,
    padded_depth,
    to_byte,
)
from rtcompile.errors import UnsupportedError
from rtcompile.relay_passes.dialect.epilogue import Epilogue, number_bounds
from rtcompile.targets import Registers

__all__ = [
    "DENSE_INT8_KERNEL",
    "Int8Shape",
    "dense_int8_kernel",
    "dot_product",
    "int8_panels",
    "pack_int8_weight",
]

# The name and version of the kernel in tuning records.
DENSE_INT8_KERNEL = ("dense_int8", 2)


@dataclass(frozen=True)
class Int8Shape:
    """What a kernel is specialised for. `dynamic`: each row of q has a scale of its own.

    `output`: "float32", or "uint8" for a layer that reads bytes.
    """

    dense: DenseShape
    dynamic: bool = False
    output: str = "float32"

    @property
    def parameters(self) -> dict[str, int | str]:
        """What a tuning task of the kernel has."""
        return {**self.dense.parameters, "dynamic": int(self.dynamic), "output": self.output}

    @property
    def name(self) -> str:
        """Name of the kernel; equal shapes share one."""
        form = "dynamic" if self.dynamic else "static"
        return f"int8_{form}_{self.output}_{self.dense.name}"


def int8_panels(
    columns: int, registers: Registers, config: PanelConfig | None = None
) -> tuple[Panel, ...]:
    """Panels of whole vectors of sums."""
    return panels(columns, registers, config, max(8, dot_product(registers).lanes))


def dot_product(registers: Registers) -> DotProduct:
    """The target's instruction. Raises UnsupportedError where there is none."""
    if not registers.int8:
        raise UnsupportedError(
            "int8 layers need an instruction that multiplies bytes (AVX512-VNNI, NEON's dot "
            "product): without one they would be no faster than float32"
        )
    return DOT_PRODUCTS[registers.int8]


def pack_int8_weight(weight: npt.NDArray[np.int8], cut: tuple[Panel, ...]) -> npt.NDArray[np.int8]:
    """W [depth, columns] as the kernel reads it, flat int8."""
    depth, parts = padded_depth(weight.shape[0]), []
    for panel in cut:
        block = np.zeros((depth, panel.width), np.int8)
        block[: weight.shape[0], : panel.valid] = weight[:, panel.start : panel.start + panel.valid]
        parts.append(block.reshape(depth // 4, 4, -1).transpose(0, 2, 1).reshape(-1))
    return np.concatenate(parts)


@dataclass(frozen=True)
class _Operands:
    """What an int8 kernel has beside the other dense kernels' buffers."""

    source: Any  # int32 [rows, depth / 4]: four bytes at once
    weight: Any
    start: Any
    factor: Any
    scale: Any  # of the rows; None where they have none of their own
    inverse: Any  # of the steps of y, and its zero point and a half; None where y is float32
    half: Any


def dense_int8_kernel(
    shape: Int8Shape, registers: Registers, config: PanelConfig | None = None
) -> Any:
    """The kernel as a PrimFunc.

        (q*, W*, start*, factor*, bias*, [scale*], [range*], streams*, y*, rows, [length])

    `scale` float32 [rows] where dynamic; `range` float32 [2], inverse and zero point of y, where y
    is uint8; `length` where a stream depends on it. Rows of bytes are of the padded depth.
    """
    dense, to_bytes = shape.dense, shape.output == "uint8"
    cut, unit = int8_panels(dense.columns, registers, config), dot_product(registers)
    width, fours = sum(panel.width for panel in cut), padded_depth(dense.depth) // 4
    with IRBuilder() as builder, T.prim_func(private=True, s_tir=True):
        T.func_name(shape.name)
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True})
        q, w = T.arg("q", T.handle("int32")), T.arg("w", T.handle("int8"))
        start, factor = T.arg("start", T.handle("int32")), T.arg("factor", T.handle("float32"))
        bias = T.arg("bias", T.handle("float32"))
        scale = T.arg("scale", T.handle("float32")) if shape.dynamic else None
        given = T.arg("range", T.handle("float32")) if to_bytes else None
        count = len(dense.epilogue.streams)
        streams = [T.arg(f"r{i}", T.handle("float32")) for i in range(count)]
        y = T.arg("y", T.handle(shape.output))
        rows = T.arg("rows", T.int64())
        period = length_argument(dense)
        stored = padded_depth(dense.columns) if to_bytes else dense.columns
        buffers = Buffers(
            None,
            None,
            T.decl_buffer((width,), "float32", data=bias),
            T.decl_buffer((rows, stored), shape.output, data=y),
            stream_buffers(dense, streams, rows, period),
        )
        operands = _Operands(
            T.decl_buffer((rows, fours), "int32", data=q),
            T.decl_buffer((4 * fours * width,), "int8", data=w),
            T.decl_buffer((width,), "int32", data=start),
            T.decl_buffer((width,), "float32", data=factor),
            None if scale is None else T.decl_buffer((rows,), "float32", data=scale),
            *_steps(given),
        )

        def emit(panel: Panel, offset: Any) -> None:
            ahead = None
            if are_far(dense.depth * dense.columns) and panel.rows > 1:
                size = 4 * fours * panel.width
                ahead = Ahead.of(operands.weight, offset + size, fours, size, rows, panel.rows)
            block = _block(dense, unit, panel, offset, buffers, operands, ahead)
            emit_even_blocks(panel.rows, rows, block)

        each_panel(4 * fours, cut, emit)
    return builder.get()


def _steps(given: Any) -> tuple[Any, Any]:
    """Of the range of y: the inverse of its steps, its zero point and a half."""
    if given is None:
        return None, None
    entry = T.decl_buffer((2,), "float32", data=given)
    return T.Bind(entry[0]), T.Bind(entry[1] + _f32(0.5))


@dataclass(frozen=True)
class _WayOut:
    """From a panel's sums to y: sums * factor + bias, the epilogue, and what is stored of that.

    `factor` and `bias` are [panel width].
    """

    factor: Any
    bias: Any
    epilogue: Epilogue
    convert: Callable[[Any], Any]


def _way_out(dense: DenseShape, panel: Panel, at: Buffers, given: _Operands) -> _WayOut:
    """An epilogue that only bounds y is done on its steps, which factor and bias then give."""
    factor, bias = (T.alloc_buffer((panel.width,), "float32") for _ in range(2))
    bounds = None if given.inverse is None else number_bounds(dense.epilogue)
    inverse, half = (_f32(1.0), _f32(0.0)) if bounds is None else (given.inverse, given.half)
    with T.vectorized(panel.width) as j:
        T.buffer_store(factor, given.factor[panel.start + j] * inverse, [j])
    with T.vectorized(panel.width) as j:
        T.buffer_store(bias, at.bias[panel.start + j] * inverse + half, [j])
    if bounds is not None:
        low, high = (
            T.Bind(_kept(bound, given)) if np.isfinite(bound) else _f32(end)
            for bound, end in zip(bounds, (0.0, ABOVE), strict=True)
        )
        return _WayOut(factor, bias, Epilogue(), lambda value: bounded_byte(value, low, high))
    if given.inverse is not None:
        convert = lambda value: to_byte(value, given.inverse, given.half)  # noqa: E731
        return _WayOut(factor, bias, dense.epilogue, convert)
    return _WayOut(factor, bias, dense.epilogue, lambda value: value)


def _kept(bound: float, given: _Operands) -> Any:
    """A bound of y in its steps, where these reach it, half a step above."""
    moved = _f32(bound) * given.inverse + given.half
    return tirx.max(tirx.min(moved, _f32(ABOVE)), _f32(0.0))


def _f32(value: float) -> Any:
    return tirx.const(value, "float32")


def _block(
    dense: DenseShape,
    unit: DotProduct,
    panel: Panel,
    offset: Any,
    at: Buffers,
    given: _Operands,
    ahead: Ahead | None,
) -> Callable[[Any, int], None]:
    """The code of `height` rows from `row` on by one panel."""
    lanes, vectors = unit.lanes, panel.width // unit.lanes
    out = _way_out(dense, panel, at, given)

    def emit(row: Any, height: int) -> None:
        acc = [[T.alloc_buffer((lanes,), "int32") for _ in range(vectors)] for _ in range(height)]
        for sums in acc:
            for v, one in enumerate(sums):
                with T.vectorized(lanes) as j:
                    T.buffer_store(one, given.start[panel.start + v * lanes + j], [j])
        with T.serial(padded_depth(dense.depth) // 4) as k:
            if ahead and height == panel.rows:
                ahead.fetch(row, k)
            for i, sums in enumerate(acc):
                for v, one in enumerate(sums):
                    first = offset + (k * vectors + v) * 4 * lanes
                    _accumulate(unit, one, given.source[row + i, k], given.weight, first)
        for i, sums in enumerate(acc):
            scaled = _scaled(panel, out, given, sums, row + i)
            results = apply_epilogue(out.epilogue, panel, at.streams, scaled, row + i)
            store_row(panel, at.target, results, row + i, out.convert)

    return emit


def _accumulate(unit: DotProduct, sums: Any, four: Any, weight: Any, first: Any) -> None:
    """sums += four . weight[first : first + 4 * lanes]."""
    weights = tirx.BufferLoad(weight, [tirx.Ramp(first, 1, 4 * unit.lanes)])
    whole = tirx.Ramp(0, 1, unit.lanes)
    result = unit.emit(tirx.BufferLoad(sums, [whole]), four, weights)
    T.buffer_store(sums, result, [whole])


def _scaled(panel: Panel, out: _WayOut, given: _Operands, sums: list[Any], row: Any) -> Any:
    """A row's sums as float32, [panel width]: times the factors, bias added."""
    result = T.alloc_buffer((panel.width,), "float32")
    lanes = panel.width // len(sums)
    scale = None if given.scale is None else T.Bind(given.scale[row])
    for v, one in enumerate(sums):
        with T.vectorized(lanes) as j:
            column = v * lanes + j
            factor = out.factor[column]
            if scale is not None:
                factor = factor * scale
            value = tirx.Cast("float32", one[j]) * factor + out.bias[column]
            T.buffer_store(result, value, [v * lanes + j])
    return result
