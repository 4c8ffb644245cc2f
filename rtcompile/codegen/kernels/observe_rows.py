"""Count the values that a layer reads, for calibration; `rtcompile/quantize/histogram.py` has why.

    for value in x[0 .. rows * width):
        counts[bits(value) >> 17] += 1
        if value is finite:  low = min(low, value); high = max(high, value)

`words` are those of Observed.
"""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit.structs import Struct
from rtcompile.runtime.abi.layout import BOTH, COMPILED, Kind, Layout, float32, uint32s

__all__ = ["OBSERVE", "PREFIX_BINS", "PREFIX_SHIFT", "Observed", "observe_kernel"]

OBSERVE = "observe_rows"

PREFIX_SHIFT = 17
PREFIX_BINS = 1 << (32 - PREFIX_SHIFT)


class Observed(Layout, owner=COMPILED):
    """What was seen of a layer's input. It stands behind a stage's status."""

    LOW, HIGH = float32(owner=BOTH), float32(owner=BOTH)  # of the finite values
    COUNTS = uint32s(PREFIX_BINS)  # by the values' prefixes


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
        ends = T.decl_buffer((Observed.COUNTS,), "float32", data=words_at)
        counts = T.decl_buffer((2 * Observed.WORDS,), "uint32", data=words_at)
        seen = Struct(Observed, None, narrow={Kind.FLOAT32: ends, Kind.UINT32: counts})
        with T.serial(rows * width) as i:
            value = T.Bind(x[i])
            bits = T.Bind(T.reinterpret("uint32", value))
            prefix = T.Bind(tirx.Cast("int64", bits >> _u32(PREFIX_SHIFT)))
            count = seen.element(Observed.COUNTS, prefix)
            seen.set_element(Observed.COUNTS, prefix, count + _u32(1))
            with T.If((bits & _u32(_INFINITY)) != _u32(_INFINITY)), T.Then():
                seen[Observed.LOW] = tirx.min(seen[Observed.LOW], value)
                seen[Observed.HIGH] = tirx.max(seen[Observed.HIGH], value)
    return builder.get()


def _u32(value: int) -> Any:
    return tirx.const(value, "uint32")
