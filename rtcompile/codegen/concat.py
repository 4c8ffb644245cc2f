"""The concatenation kernel: gather blocks of columns from one arena into a wide matrix.

    for part in range(parts):
        source, width, offset = descriptors[part]
        for i in range(rows):
            target[i, offset : offset + width] = arena[source + i * width : ... + width]

`descriptors` is an int64 constant [parts, 3], in elements. One kernel of a dtype serves every
concatenation, and one call all parts that lie in the same arena: code does not grow with their
count.
"""

from __future__ import annotations

from typing import Any

from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

__all__ = ["concat_kernel", "concat_name"]


def concat_name(dtype: str) -> str:
    """Name of the kernel of a dtype."""
    return f"concat_{dtype}"


def concat_kernel(dtype: str) -> Any:
    """A PrimFunc (arena*, descriptors*, target*, rows, parts, target width)."""
    with IRBuilder() as builder, T.prim_func(private=True, s_tir=True):
        T.func_name(concat_name(dtype))
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True})
        arena_at = T.arg("arena", T.handle(dtype))
        descriptors_at = T.arg("descriptors", T.handle("int64"))
        target_at = T.arg("target", T.handle(dtype))
        rows = T.arg("rows", T.int64())
        parts = T.arg("parts", T.int64())
        target_width = T.arg("target_width", T.int64())
        arena = T.decl_buffer((1 << 40,), dtype, data=arena_at)
        descriptors = T.decl_buffer((parts, 3), "int64", data=descriptors_at)
        target = T.decl_buffer((rows * target_width,), dtype, data=target_at)
        with T.serial(parts) as part:
            source = T.Bind(descriptors[part, 0])
            width = T.Bind(descriptors[part, 1])
            offset = T.Bind(descriptors[part, 2])
            with T.serial(rows) as i, T.serial(width) as j:
                value = arena[source + i * width + j]
                T.buffer_store(target, value, [i * target_width + offset + j])
    return builder.get()
