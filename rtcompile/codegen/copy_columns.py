"""The kernel behind concatenation: copy a block of columns into a wider matrix.

    for i in range(rows):  target[i, offset : offset + width] = source[i, :]

Source is [rows, width], target [rows, target width]. One kernel serves every width.
"""

from __future__ import annotations

from typing import Any

from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

__all__ = ["copy_columns_kernel", "copy_columns_name"]


def copy_columns_name(dtype: str, width: int) -> str:
    """Name of the kernel of a dtype and width."""
    return f"copy_columns_{dtype}_{width}"


def copy_columns_kernel(dtype: str, width: int) -> Any:
    """A PrimFunc (source*, target*, rows, target width, offset)."""
    with IRBuilder() as builder:
        with T.prim_func(private=True, s_tir=True):
            T.func_name(copy_columns_name(dtype, width))
            T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True})
            source_at = T.arg("source", T.handle(dtype))
            target_at = T.arg("target", T.handle(dtype))
            rows = T.arg("rows", T.int64())
            target_width = T.arg("target_width", T.int64())
            offset = T.arg("offset", T.int64())
            source = T.decl_buffer((rows, width), dtype, data=source_at)
            target = T.decl_buffer((rows * target_width,), dtype, data=target_at)
            with T.serial(rows) as i, T.serial(width) as j:
                T.buffer_store(target, source[i, j], [i * target_width + offset + j])
    return builder.get()
