"""A dense layer over the outer product of two vectors a row, which is never stored.

    y[r, :] = f(sum over h, m of  a[r, h] * b[r, m] * W[h * M + m, :]  + bias)

The blocks are the dense template's (`dense.py`); for each h the block's products a[r, h] * b[r, :]
are computed into a few vectors, from which the multiplications by W read them:

    for panel of columns, for each 6 rows:         acc[6, 64] = bias
        for h in H:
            z[6, M] = a[rows, h] * b[rows, :]
            for m in M:                            acc[i, :] += z[i, m] * W_panel[h * M + m, :]
        y[rows, panel] = f(acc)

`symmetric`: a is b, and W has a row for each pair m >= h only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.kernels.dense_shape import kernel_name
from rtcompile.codegen.kernels.epilogue_operands import apply_epilogue
from rtcompile.codegen.kernels.lanes import chunks
from rtcompile.codegen.kernels.panels import (
    Panel,
    PanelConfig,
    heights,
    panels,
)
from rtcompile.relay_passes.dialect.epilogue import Epilogue
from rtcompile.targets import Registers

__all__ = ["OUTER_DENSE_KERNEL", "OuterDenseShape", "outer_dense_kernel"]

# The name and version of the kernel in tuning records.
OUTER_DENSE_KERNEL = ("outer_dense", 1)


@dataclass(frozen=True)
class OuterDenseShape:
    """a is [rows, left], b [rows, right], y [rows, columns]."""

    left: int
    right: int
    columns: int
    epilogue: Epilogue  # without streams
    symmetric: bool

    @property
    def depth(self) -> int:
        """Rows of W."""
        pairs = self.left * (self.left + 1) // 2
        return pairs if self.symmetric else self.left * self.right

    @property
    def name(self) -> str:
        """Name of the kernel; equal shapes share one."""
        kind = ["symmetric"] if self.symmetric else []
        extents = f"{self.left}x{self.right}x{self.columns}"
        return kernel_name("_".join([f"outer_dense_{extents}", *kind]), self.epilogue)

    @property
    def parameters(self) -> dict[str, int | str]:
        """What a tuning task of the kernel has."""
        return {
            "left": self.left,
            "right": self.right,
            "columns": self.columns,
            "epilogue": str(self.epilogue),
            "symmetric": int(self.symmetric),
        }


def outer_dense_kernel(
    shape: OuterDenseShape, registers: Registers, config: PanelConfig | None = None
) -> Any:
    """The kernel as a PrimFunc (a*, b*, packed W*, packed bias*, y*, rows)."""
    cut = panels(shape.columns, registers, config)
    packed = sum(panel.width for panel in cut)
    with IRBuilder() as builder, T.prim_func(private=True, s_tir=True):
        T.func_name(shape.name)
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True})
        names = ("a", "b", "w", "bias", "y")
        a, b, w, bias, y = [T.arg(name, T.handle("float32")) for name in names]
        rows = T.arg("rows", T.int64())
        buffers = _Buffers(
            T.decl_buffer((rows, shape.left), "float32", data=a),
            T.decl_buffer((rows, shape.right), "float32", data=b),
            T.decl_buffer((shape.depth * packed,), "float32", data=w),
            T.decl_buffer((packed,), "float32", data=bias),
            T.decl_buffer((rows, shape.columns), "float32", data=y),
        )
        offset = 0
        for panel in cut:
            _emit_panel(shape, panel, offset, buffers, rows)
            offset += shape.depth * panel.width
    return builder.get()


@dataclass(frozen=True)
class _Buffers:
    left: Any
    right: Any
    weight: Any
    bias: Any
    target: Any


def _emit_panel(shape: OuterDenseShape, panel: Panel, offset: int, at: _Buffers, rows: Any) -> None:
    """All rows by one panel: in blocks of its rows, of half, down to single."""
    done = tirx.const(0, "int64")
    for height in heights(panel.rows):
        blocks = T.Bind((rows - done) // height)
        with T.serial(blocks) as block:
            _emit_block(shape, panel, offset, at, done + block * height, height)
        done = T.Bind(done + blocks * height)


def _emit_block(
    shape: OuterDenseShape, panel: Panel, offset: int, at: _Buffers, row: Any, height: int
) -> None:
    """`height` rows by one panel."""
    acc = [T.alloc_buffer((panel.width,), "float32") for _ in range(height)]
    products = [T.alloc_buffer((shape.right,), "float32") for _ in range(height)]
    for i in range(height):
        with T.vectorized(panel.width) as j:
            T.buffer_store(acc[i], at.bias[panel.start + j], [j])
    with T.serial(shape.left) as h:
        for i in range(height):
            _multiply(shape, at, products[i], row + i, h)
        first = h if shape.symmetric else 0
        skipped = h * (h + 1) // 2 if shape.symmetric else 0
        base = T.Bind(offset + (h * shape.right - skipped) * panel.width)
        with T.serial(shape.right - first) as step:
            m = T.Bind(first + step)
            for i in range(height):
                with T.vectorized(panel.width) as j:
                    term = products[i][m] * at.weight[base + m * panel.width + j]
                    T.buffer_store(acc[i], acc[i][j] + term, [j])
    for i in range(height):
        _store(shape, panel, acc[i], at.target, row + i)


def _multiply(shape: OuterDenseShape, at: _Buffers, products: Any, row: Any, h: Any) -> None:
    """products[:] = a[row, h] * b[row, :]"""
    factor = T.Bind(at.left[row, h])
    for start, lanes in chunks(shape.right):
        with T.vectorized(lanes) if lanes > 1 else T.unroll(1) as j:
            T.buffer_store(products, factor * at.right[row, start + j], [start + j])


def _store(shape: OuterDenseShape, panel: Panel, acc: Any, target: Any, row: Any) -> None:
    """The epilogue of a row's accumulator, into the columns that are there."""
    value = apply_epilogue(shape.epilogue, panel, [], acc, row)
    kind = T.vectorized if panel.valid == panel.width else T.unroll
    with kind(panel.valid) as j:
        T.buffer_store(target, value[j], [row, panel.start + j])
