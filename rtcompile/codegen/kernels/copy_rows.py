"""The copy kernel, for outputs that are another value's alias: out[i] = in[i]."""

from __future__ import annotations

from typing import Any

from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

__all__ = ["copy_kernel", "copy_kernel_name"]


def copy_kernel_name(dtype: str, fixed: bool) -> str:
    """Name of the copy kernel of a dtype."""
    return f"copy_{'fixed_' * fixed}{dtype}"


def copy_kernel(dtype: str, fixed: bool) -> Any:
    """A PrimFunc (source*, target*, count); or, `fixed`, (source*, target*, rows, count), whose
    count has nothing to do with the rows."""
    with IRBuilder() as builder, T.prim_func(private=True, s_tir=True):
        T.func_name(copy_kernel_name(dtype, fixed))
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True})
        source_at = T.arg("source", T.handle(dtype))
        target_at = T.arg("target", T.handle(dtype))
        if fixed:
            T.arg("rows", T.int64())
        count = T.arg("count", T.int64())
        source = T.decl_buffer((count,), dtype, data=source_at)
        target = T.decl_buffer((count,), dtype, data=target_at)
        with T.serial(count) as i:
            T.buffer_store(target, source[i], [i])
    return builder.get()
