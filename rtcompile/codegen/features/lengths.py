"""The kernel of sequence lengths: out[i] = min(elements of row start + i, length)."""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.features.columns import EncodedColumn

__all__ = ["lengths_kernel", "lengths_kernel_name"]

_ANY = 1 << 40


def lengths_kernel_name(dtype: str) -> str:
    """One kernel a dtype."""
    return f"sequence_lengths_{dtype}"


def lengths_kernel(dtype: str) -> Any:
    """A PrimFunc (columns*, out*, rows, start, column, length)."""
    with IRBuilder() as builder, T.prim_func(private=True, s_tir=True):
        T.func_name(lengths_kernel_name(dtype))
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True})
        columns_at = T.arg("columns", T.handle("int64"))
        out_at = T.arg("out", T.handle(dtype))
        names = ("rows", "start", "column", "length")
        rows, start, index, length = (T.arg(name, T.int64()) for name in names)
        columns = T.decl_buffer((_ANY,), "int64", data=columns_at)
        column = EncodedColumn(columns, index, start)
        out = T.decl_buffer((rows,), dtype, data=out_at)
        with T.serial(rows) as i:
            first, end = column.entries(column.row(i))
            T.buffer_store(out, tirx.Cast(dtype, tirx.min(end - first, length)), [i])
    return builder.get()
