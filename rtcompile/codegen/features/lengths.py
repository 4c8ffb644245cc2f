"""The kernel of sequence lengths: out[i] = min(elements of the longest column in row i, length)."""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit.pointers import ANY
from rtcompile.codegen.emit.tir import i64
from rtcompile.codegen.features.encoded import EncodedColumn

__all__ = ["lengths_kernel", "lengths_kernel_name"]


def lengths_kernel_name(dtype: str, columns: int) -> str:
    """One kernel a dtype and number of columns."""
    return f"sequence_lengths_{dtype}_{columns}"


def lengths_kernel(dtype: str, count: int) -> Any:
    """A PrimFunc (columns*, out*, rows, start, length, column...)."""
    with IRBuilder() as builder, T.prim_func(private=True, s_tir=True):
        T.func_name(lengths_kernel_name(dtype, count))
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True})
        columns_at, out_at = T.arg("columns", T.handle("int64")), T.arg("out", T.handle(dtype))
        rows, start, length = (T.arg(name, T.int64()) for name in ("rows", "start", "length"))
        indices = [T.arg(f"column_{k}", T.int64()) for k in range(count)]
        columns = T.decl_buffer((ANY,), "int64", data=columns_at)
        views = [EncodedColumn(columns, index, start) for index in indices]
        out = T.decl_buffer((rows,), dtype, data=out_at)
        with T.serial(rows) as i:
            longest = i64(1)
            for view in views:
                first, end = view.entries(view.row(i))
                longest = T.Bind(tirx.max(longest, end - first))
            T.buffer_store(out, tirx.Cast(dtype, tirx.min(longest, length)), [i])
    return builder.get()
