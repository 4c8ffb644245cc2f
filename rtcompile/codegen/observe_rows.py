"""Count the values that a layer reads, for calibration; `rtcompile/quantize/histogram.py` has why.

    for value in x[0 .. rows * width):
        counts[bits(value) >> 17] += 1
        if value is finite:  low = min(low, value); high = max(high, value)

`words` is int64 [OBSERVED_WORDS]: low and high as two float32 in the first, counts as uint32 from
the second on.
"""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

__all__ = ["OBSERVE", "OBSERVED_WORDS", "PREFIX_BINS", "PREFIX_SHIFT", "observe_kernel"]

OBSERVE = "observe_rows"

PREFIX_SHIFT = 17
PREFIX_BINS = 1 << (32 - PREFIX_SHIFT)

OBSERVED_WORDS = 1 + PREFIX_BINS // 2

_INFINITY = 0x7F800000  # its bits: the exponent of all that is not finite


def observe_kernel() -> Any:
    """A PrimFunc (x*, words*, rows, width) over float32 [rows, width]."""
    with IRBuilder() as builder, T.prim_func(private=True, s_tir=True):
        T.func_name(OBSERVE)
        T.func_attr({"tirx.is_scheduled": True})
        x_at = T.arg("x", T.handle("float32"))
        words_at = T.arg("words", T.handle("int64"))
        rows, width = T.arg("rows", T.int64()), T.arg("width", T.int64())
        x = T.decl_buffer((rows * width,), "float32", data=x_at)
        ends = T.decl_buffer((2,), "float32", data=words_at)
        counts = T.decl_buffer((2 + PREFIX_BINS,), "uint32", data=words_at)
        with T.serial(rows * width) as i:
            value = T.Bind(x[i])
            bits = T.Bind(T.reinterpret("uint32", value))
            at = T.Bind(2 + tirx.Cast("int64", bits >> _u32(PREFIX_SHIFT)))
            T.buffer_store(counts, counts[at] + _u32(1), [at])
            with T.If((bits & _u32(_INFINITY)) != _u32(_INFINITY)), T.Then():
                T.buffer_store(ends, tirx.min(ends[0], value), [0])
                T.buffer_store(ends, tirx.max(ends[1], value), [1])
    return builder.get()


def _u32(value: int) -> Any:
    return tirx.const(value, "uint32")
