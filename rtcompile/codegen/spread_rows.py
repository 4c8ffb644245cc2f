"""Kernels that bring stage results to the rows of a tile: from the one user, and from the items.

    spread_rows:  target[i, :] = source[0, :]               a request's user, for every row
    gather_rows:  target[i, :] = source[indices[i], :]      the items of the rows, by their places

`indices` are places in the item table, which the runtime knows to be inside it.
"""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.pointers import ANY

__all__ = ["gather_rows_kernel", "gather_rows_name", "spread_rows_kernel", "spread_rows_name"]


def spread_rows_name(dtype: str) -> str:
    """One kernel a dtype."""
    return f"spread_rows_{dtype}"


def gather_rows_name(dtype: str) -> str:
    """One kernel a dtype."""
    return f"gather_rows_{dtype}"


def spread_rows_kernel(dtype: str) -> Any:
    """A PrimFunc (source*, target*, rows, elements a row)."""
    return _kernel(spread_rows_name(dtype), dtype, gathers=False)


def gather_rows_kernel(dtype: str) -> Any:
    """A PrimFunc (source*, indices*, target*, rows, elements a row)."""
    return _kernel(gather_rows_name(dtype), dtype, gathers=True)


def _kernel(name: str, dtype: str, gathers: bool) -> Any:
    with IRBuilder() as builder, T.prim_func(private=True, s_tir=True):
        T.func_name(name)
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True})
        source_at = T.arg("source", T.handle(dtype))
        indices_at = T.arg("indices", T.handle("int64")) if gathers else None
        target_at = T.arg("target", T.handle(dtype))
        rows, elements = T.arg("rows", T.int64()), T.arg("elements", T.int64())
        source = T.decl_buffer((ANY,), dtype, data=source_at)
        target = T.decl_buffer((rows * elements,), dtype, data=target_at)
        indices = T.decl_buffer((rows,), "int64", data=indices_at) if gathers else None
        with T.serial(rows) as i:
            place = tirx.const(0, "int64") if indices is None else indices[i]
            first = T.Bind(place * elements)
            with T.serial(elements) as j:
                T.buffer_store(target, source[first + j], [i * elements + j])
    return builder.get()
