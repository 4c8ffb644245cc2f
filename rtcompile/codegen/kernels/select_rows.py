"""Take one of several forms of a value, by a word of the status; for calibration.

if word == 0:  y = forms[0]
if word == 1:  y = forms[1]     ...
"""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

__all__ = ["select_kernel", "select_name"]


def select_name(forms: int) -> str:
    """Name of the kernel; equal counts of forms share one."""
    return f"select_rows_{forms}"


def select_kernel(forms: int) -> Any:
    """A PrimFunc (forms*..., word*, y*, rows, width) over float32 [rows, width]."""
    with IRBuilder() as builder, T.prim_func(private=True, s_tir=True):
        T.func_name(select_name(forms))
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True})
        given = [T.arg(f"x{i}", T.handle("float32")) for i in range(forms)]
        word_at = T.arg("word", T.handle("int64"))
        y_at = T.arg("y", T.handle("float32"))
        rows, width = T.arg("rows", T.int64()), T.arg("width", T.int64())
        count = rows * width
        word = T.decl_buffer((1,), "int64", data=word_at)
        y = T.decl_buffer((count,), "float32", data=y_at)
        for number, pointer in enumerate(given):
            x = T.decl_buffer((count,), "float32", data=pointer)
            with T.If(word[0] == tirx.const(number, "int64")), T.Then(), T.serial(count) as i:
                T.buffer_store(y, x[i], [i])
    return builder.get()
