"""Products of two small matrices for each row: C[b] = A[b] @ B[b], or A[b] @ transpose(B[b]).

    for b in batches:
        for panel of B[b]'s columns:           scratch = the panel, packed and padded with zeros
            the blocks of the dense template:  C[b][rows, panel] = A[b] @ scratch

Attention over fields or positions is of this form. Packing costs a pass over B[b], which the rows
of A[b] share. A B that all batches share is packed once (`shared_matmul_kernel`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.kernels.dense import (
    Buffers,
    default_dense,
    dense_panels,
    emit_panel,
)
from rtcompile.codegen.kernels.dense_shape import DenseShape
from rtcompile.codegen.kernels.k_blocks import DepthPart
from rtcompile.codegen.kernels.panels import (
    Panel,
    PanelConfig,
    default_panels,
    panels,
)
from rtcompile.codegen.program.program import TILE
from rtcompile.targets import Registers

__all__ = [
    "BATCH_MATMUL_KERNEL",
    "BatchMatmulShape",
    "batch_matmul_kernel",
    "scratch_elements",
    "shared_matmul_kernel",
    "shared_scratch_elements",
]

# The name and version of the kernel in tuning records.
BATCH_MATMUL_KERNEL = ("batch_matmul", 1)


@dataclass(frozen=True)
class BatchMatmulShape:
    """A[b] is [rows, depth], C[b] is [rows, columns]; `transposed`: B[b] is [columns, depth]."""

    rows: int
    depth: int
    columns: int
    transposed: bool

    @property
    def name(self) -> str:
        """Name of the kernel; equal shapes share one."""
        kind = "nt" if self.transposed else "nn"
        return f"batch_matmul_{kind}_{self.rows}x{self.depth}x{self.columns}"

    @property
    def parameters(self) -> dict[str, int | str]:
        """What a tuning task of the kernel has."""
        return {
            "rows": self.rows,
            "depth": self.depth,
            "columns": self.columns,
            "transposed": int(self.transposed),
        }


def scratch_elements(
    shape: BatchMatmulShape, registers: Registers, config: PanelConfig | None = None
) -> int:
    """Floats of scratch that the kernel needs: one B[b], packed."""
    return shape.depth * sum(panel.width for panel in panels(shape.columns, registers, config))


def batch_matmul_kernel(
    shape: BatchMatmulShape, registers: Registers, config: PanelConfig | None = None
) -> Any:
    """A PrimFunc (A*, B*, C*, scratch*, batches)."""
    config = config or default_panels(registers)
    cut = panels(shape.columns, registers, config)
    dense = DenseShape(shape.depth, shape.columns)
    part = DepthPart(0, shape.depth, unroll=config.unroll)
    with IRBuilder() as builder, T.prim_func(private=True, s_tir=True):
        size = scratch_elements(shape, registers, config)
        right, buffers, batches = _begin(shape, shape.name, size, "batches", shape.rows)
        with T.serial(batches) as batch:
            offset = 0
            for panel in cut:
                _pack(shape, panel, offset, right, buffers.weight, batch)
                rows = tirx.const(shape.rows, "int64")
                first = batch * shape.rows
                emit_panel(dense, panel, offset, buffers, rows, part, first)
                offset += shape.depth * panel.width
    return builder.get()


def _begin(
    shape: BatchMatmulShape, name: str, scratch_size: int, counted: str, rows: int
) -> tuple[Any, Buffers, Any]:
    """Begin a kernel (A*, B*, C*, scratch*, count): B, the other buffers, and the count.

    A and C have `rows` rows for each that is `counted`.
    """
    T.func_name(name)
    T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True})
    a, b, c, scratch = (T.arg(arg, T.handle("float32")) for arg in ("a", "b", "c", "scratch"))
    count = T.arg(counted, T.int64())
    extents = (shape.columns, shape.depth) if shape.transposed else (shape.depth, shape.columns)
    buffers = Buffers(
        T.decl_buffer((count * rows, shape.depth), "float32", data=a),
        T.decl_buffer((scratch_size,), "float32", data=scratch),
        None,
        T.decl_buffer((count * rows, shape.columns), "float32", data=c),
        [],
    )
    return T.decl_buffer((count, *extents), "float32", data=b), buffers, count


def _shared_panels(shape: BatchMatmulShape, registers: Registers) -> tuple[Panel, ...]:
    return dense_panels(shape.columns, registers, default_dense(registers, TILE))


def shared_scratch_elements(shape: BatchMatmulShape, registers: Registers) -> int:
    """Floats of scratch that the kernel of a shared B needs: B, packed."""
    return shape.depth * sum(panel.width for panel in _shared_panels(shape, registers))


def shared_matmul_kernel(shape: BatchMatmulShape, registers: Registers) -> Any:
    """A PrimFunc (A*, B*, C*, scratch*, rows): C = A @ B, A of `rows` rows of all batches.

    for panel of B's columns:              scratch = the panel, packed and padded with zeros
        the blocks of the dense template:  C[rows, panel] = A[rows] @ scratch
    """
    dense, part = DenseShape(shape.depth, shape.columns), DepthPart(0, shape.depth)
    with IRBuilder() as builder, T.prim_func(private=True, s_tir=True):
        size = shared_scratch_elements(shape, registers)
        right, buffers, rows = _begin(shape, f"shared_{shape.name}", size, "rows", 1)
        offset = 0
        for panel in _shared_panels(shape, registers):
            _pack(shape, panel, offset, right, buffers.weight, 0)
            emit_panel(dense, panel, offset, buffers, rows, part)
            offset += shape.depth * panel.width
    return builder.get()


def _pack(
    shape: BatchMatmulShape, panel: Panel, offset: int, right: Any, packed: Any, batch: Any
) -> None:
    """Copy a panel's columns of B[batch] to `packed`, [depth, width], zeros behind the last."""
    with T.serial(shape.depth) as k:
        at = offset + k * panel.width
        with T.serial(panel.valid) as j:
            column = panel.start + j
            place = [batch, column, k] if shape.transposed else [batch, k, column]
            T.buffer_store(packed, right[tuple(place)], [at + j])
        if panel.valid < panel.width:
            with T.serial(panel.width - panel.valid) as j:
                T.buffer_store(packed, tirx.const(0, "float32"), [at + panel.valid + j])
