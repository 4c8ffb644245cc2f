"""Softmax of contiguous rows: exp(x - max) / sum(exp(x - max)).

    for i in range(rows):
        largest = max over x[i, :]                a vector at a time
        y[i, :] = exp(x[i, :] - largest)          and their sum, in the lanes of a vector
        y[i, :] *= 1 / sum

A row of 16 to 64 values stays in registers: its last vector ends where the row ends, so that it
overlaps the one before, and the values that are there twice count once:

        v0, v1 = x[i, 0:16], x[i, 10:26]          of a row of 26
        v0, v1 = exp(v0 - largest), exp(v1 - largest)
        sum over v0 and v1[6:];                   y[i, 0:16], y[i, 10:26] = v0 / sum, v1 / sum

A row with NaN is all NaN, as is one whose largest value is infinite.
"""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.kernels.lanes import (
    LANES,
    chunks,
    fold,
    reduce_lanes,
    start_lanes,
)
from rtcompile.codegen.kernels.vector_math import exp_of_softmax

__all__ = ["softmax_kernel", "softmax_name"]

_WIDEST_IN_REGISTERS = 4 * LANES


def softmax_name(width: int) -> str:
    """Name of the kernel; equal widths share one."""
    return f"softmax_{width}"


def softmax_kernel(width: int) -> Any:
    """A PrimFunc (x*, y*, rows) over float32 [rows, width]."""
    with IRBuilder() as builder, T.prim_func(private=True, s_tir=True):
        T.func_name(softmax_name(width))
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True})
        x_at = T.arg("x", T.handle("float32"))
        y_at = T.arg("y", T.handle("float32"))
        rows = T.arg("rows", T.int64())
        x = T.decl_buffer((rows, width), "float32", data=x_at)
        y = T.decl_buffer((rows, width), "float32", data=y_at)
        emit = _in_registers if LANES <= width <= _WIDEST_IN_REGISTERS else _in_memory
        with T.serial(rows) as i:
            emit(width, x, y, i)
    return builder.get()


def _in_memory(width: int, x: Any, y: Any, i: Any) -> None:
    """A row whose powers are kept in the result."""
    lanes = start_lanes(float("-inf"))
    fold(lanes, width, _larger, lambda j: x[i, j])
    largest = reduce_lanes(lanes, _larger)
    _each(width, y, i, lambda j: exp_of_softmax(x[i, j] - largest))
    sums = start_lanes(0.0)
    fold(sums, width, lambda a, b: a + b, lambda j: y[i, j])
    total = reduce_lanes(sums, lambda a, b: a + b)
    factor = T.Bind(tirx.const(1.0, "float32") / total)
    _each(width, y, i, lambda j: y[i, j] * factor)


def _in_registers(width: int, x: Any, y: Any, i: Any) -> None:
    """A row as whole vectors, the last of which overlaps the one before."""
    starts = [*range(0, width - LANES, LANES), width - LANES]
    vectors = [T.alloc_buffer((LANES,), "float32") for _ in starts]
    lanes = start_lanes(float("-inf"))
    for start, vector in zip(starts, vectors, strict=True):
        with T.vectorized(LANES) as j:
            T.buffer_store(vector, x[i, start + j], [j])
        with T.vectorized(LANES) as j:
            T.buffer_store(lanes, _larger(lanes[j], vector[j]), [j])
    largest = reduce_lanes(lanes, _larger)
    sums, counted = start_lanes(0.0), 0
    for start, vector in zip(starts, vectors, strict=True):
        with T.vectorized(LANES) as j:
            T.buffer_store(vector, exp_of_softmax(vector[j] - largest), [j])
        with T.vectorized(LANES) as j:
            once = tirx.Select(j >= counted - start, vector[j], tirx.const(0.0, "float32"))
            T.buffer_store(sums, sums[j] + (once if counted > start else vector[j]), [j])
        counted = start + LANES
    total = reduce_lanes(sums, lambda a, b: a + b)
    factor = T.Bind(tirx.const(1.0, "float32") / total)
    for start, vector in zip(starts, vectors, strict=True):
        with T.vectorized(LANES) as j:
            T.buffer_store(y, vector[j] * factor, [i, start + j])


def _larger(a: Any, b: Any) -> Any:
    return tirx.Select(a < b, b, a)


def _each(width: int, target: Any, row: Any, value: Any) -> None:
    """target[row, j] = value(j) for each j, a vector at a time."""
    whole = width // LANES
    if whole:
        with T.serial(whole) as i, T.vectorized(LANES) as j:
            T.buffer_store(target, value(i * LANES + j), [row, i * LANES + j])
    for start, count in chunks(width - whole * LANES):
        first = whole * LANES + start
        with T.vectorized(count) as j:
            T.buffer_store(target, value(first + j), [row, first + j])
