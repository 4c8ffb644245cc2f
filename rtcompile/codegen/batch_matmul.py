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

from rtcompile.codegen.dense import Buffers, default_dense, dense_panels, emit_panel
from rtcompile.codegen.dense_shape import DenseShape
from rtcompile.codegen.depth_parts import DepthPart
from rtcompile.codegen.panels import Panel, PanelConfig, default_panels, panels
from rtcompile.codegen.program import TILE
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
        T.func_name(shape.name)
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True})
        a = T.arg("a", T.handle("float32"))
        b = T.arg("b", T.handle("float32"))
        c = T.arg("c", T.handle("float32"))
        scratch = T.arg("scratch", T.handle("float32"))
        batches = T.arg("batches", T.int64())
        extents = (shape.columns, shape.depth) if shape.transposed else (shape.depth, shape.columns)
        right = T.decl_buffer((batches, *extents), "float32", data=b)
        size = scratch_elements(shape, registers, config)
        buffers = Buffers(
            T.decl_buffer((batches * shape.rows, shape.depth), "float32", data=a),
            T.decl_buffer((size,), "float32", data=scratch),
            None,
            T.decl_buffer((batches * shape.rows, shape.columns), "float32", data=c),
            [],
        )
        with T.serial(batches) as batch:
            offset = 0
            for panel in cut:
                _pack(shape, panel, offset, right, buffers.weight, batch)
                rows = tirx.const(shape.rows, "int64")
                first = batch * shape.rows
                emit_panel(dense, panel, offset, buffers, rows, part, first)
                offset += shape.depth * panel.width
    return builder.get()


def shared_scratch_elements(shape: BatchMatmulShape, registers: Registers) -> int:
    """Floats of scratch that the kernel of a shared B needs: B, packed."""
    config = default_dense(registers, TILE)
    return shape.depth * sum(
        panel.width for panel in dense_panels(shape.columns, registers, config)
    )


def shared_matmul_kernel(shape: BatchMatmulShape, registers: Registers) -> Any:
    """A PrimFunc (A*, B*, C*, scratch*, rows): C = A @ B, A of `rows` rows of all batches.

    for panel of B's columns:              scratch = the panel, packed and padded with zeros
        the blocks of the dense template:  C[rows, panel] = A[rows] @ scratch
    """
    cut = dense_panels(shape.columns, registers, default_dense(registers, TILE))
    dense, part = DenseShape(shape.depth, shape.columns), DepthPart(0, shape.depth)
    with IRBuilder() as builder, T.prim_func(private=True, s_tir=True):
        T.func_name(f"shared_{shape.name}")
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True})
        a = T.arg("a", T.handle("float32"))
        b = T.arg("b", T.handle("float32"))
        c = T.arg("c", T.handle("float32"))
        scratch = T.arg("scratch", T.handle("float32"))
        rows = T.arg("rows", T.int64())
        extents = (shape.columns, shape.depth) if shape.transposed else (shape.depth, shape.columns)
        right = T.decl_buffer((1, *extents), "float32", data=b)
        size = shared_scratch_elements(shape, registers)
        buffers = Buffers(
            T.decl_buffer((rows, shape.depth), "float32", data=a),
            T.decl_buffer((size,), "float32", data=scratch),
            None,
            T.decl_buffer((rows, shape.columns), "float32", data=c),
            [],
        )
        offset = 0
        for panel in cut:
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
