"""The dense kernel for up to 4 columns: dot products along the depth, across a vector's lanes.

A panel of 8 columns would compute 8 for one. For W of 128 x 1 this emits

    for each 4 rows, then each 1:              (or as many as the config says)
        acc[4, 16] = 0
        for k in 0, 16 .. 112:     acc[i, :] += x[i, k : k + 16] * W[k : k + 16]
        y[i] = b + the sum of acc[i, :]
    for each 16 values of y, then each 1:  y = f(y, streams)

The depth's rest goes in vectors of 8, 4, 2 and 1. W is packed as its transpose.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.kernels.dense_shape import DenseShape
from rtcompile.codegen.kernels.epilogue import evaluate, kept_steps
from rtcompile.codegen.kernels.epilogue_operands import Stream, length_argument, stream_buffers
from rtcompile.codegen.kernels.lanes import LANES, chunks
from rtcompile.relay_passes.dialect.epilogue import ACC

__all__ = [
    "MOST_COLUMNS",
    "NARROW_DENSE_KERNEL",
    "NARROW_DENSE_ROWS",
    "narrow_dense_kernel",
    "pack_narrow_row",
    "pack_narrow_weight",
]

MOST_COLUMNS = 4

# The name and version of the kernel in tuning records.
NARROW_DENSE_KERNEL = ("narrow_dense", 1)

# Rows of a block, where no config says otherwise.
NARROW_DENSE_ROWS = 4


def lanes_of(columns: int) -> int:
    """Values of y that the epilogue takes at once: whole rows of whole vectors."""
    return math.lcm(LANES, columns)


def pack_narrow_weight(weight: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """W [depth, columns] as its transpose, flat."""
    return np.ascontiguousarray(weight.T).reshape(-1)


def pack_narrow_row(row: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """A row [columns] repeated for as many values as the epilogue takes at once."""
    return np.tile(row.reshape(-1), lanes_of(row.size) // row.size)


def narrow_dense_kernel(shape: DenseShape, height: int = NARROW_DENSE_ROWS) -> Any:
    """The kernel as a PrimFunc (x*, packed W*, packed b*, streams*, y*, rows, [length]).

    `height`: rows that are multiplied side by side.
    """
    columns, forms = shape.columns, shape.epilogue.streams
    with IRBuilder() as builder, T.prim_func(private=True, s_tir=True):
        T.func_name(shape.name)
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True})
        x_at = T.arg("x", T.handle("float32"))
        w_at = T.arg("w", T.handle("float32"))
        b_at = T.arg("b", T.handle("float32"))
        pointers = [T.arg(f"r{i}", T.handle("float32")) for i in range(len(forms))]
        y_at = T.arg("y", T.handle("float32"))
        rows = T.arg("rows", T.int64())
        period = length_argument(shape)
        x = T.decl_buffer((rows, shape.depth), "float32", data=x_at)
        w = T.decl_buffer((columns, shape.depth), "float32", data=w_at)
        b = T.decl_buffer((lanes_of(columns),), "float32", data=b_at)
        y = T.decl_buffer((rows, columns), "float32", data=y_at)
        whole = rows // height
        with T.serial(whole) as block:
            _dot(shape, (x, w, b, y), block * height, height)
        with T.serial(rows - whole * height) as rest:
            _dot(shape, (x, w, b, y), whole * height + rest, 1)
        if shape.epilogue.steps and all(form in ("each", "row") for form in forms):
            _flat_epilogue(shape, y_at, pointers, rows)
        elif shape.epilogue.steps:
            _row_epilogue(shape, y, stream_buffers(shape, pointers, rows, period), rows)
    return builder.get()


def _dot(shape: DenseShape, at: tuple[Any, ...], row: Any, height: int) -> None:
    """`height` rows by all columns."""
    x, w, b, y = at
    columns, whole = range(shape.columns), shape.depth // LANES
    acc = {(i, c): T.alloc_buffer((LANES,), "float32") for i in range(height) for c in columns}
    for lanes in acc.values():
        with T.vectorized(LANES) as j:
            T.buffer_store(lanes, tirx.const(0, "float32"), [j])

    def update(first: Any, count: int) -> None:
        for (i, c), lanes in acc.items():
            with T.vectorized(count) as j:
                product = x[row + i, first + j] * w[c, first + j]
                T.buffer_store(lanes, lanes[j] + product, [j])

    if whole:
        with T.serial(whole) as k:
            update(k * LANES, LANES)
    for start, count in chunks(shape.depth - whole * LANES):
        update(whole * LANES + start, count)
    for (i, c), lanes in acc.items():
        half = LANES // 2
        while half:
            with T.vectorized(half) as j:
                T.buffer_store(lanes, lanes[j] + lanes[j + half], [j])
            half //= 2
        T.buffer_store(y, lanes[0] + b[c], [row + i, c])


def _flat_epilogue(shape: DenseShape, y_at: Any, pointers: Any, rows: Any) -> None:
    """Over y as one run of values; a constant row is repeated over as many as are taken at once."""
    count, lanes = rows * shape.columns, lanes_of(shape.columns)
    y = T.decl_buffer((count,), "float32", data=y_at)
    forms = shape.epilogue.streams
    streams = [
        T.decl_buffer((lanes if form == "row" else count,), "float32", data=pointer)
        for form, pointer in zip(forms, pointers, strict=True)
    ]

    def values(first: Any, width: int, column: Any) -> None:
        def read(text: str, j: Any) -> Any:
            if text == ACC:
                return y[first + j]
            index = int(text.split(":")[1])
            return streams[index][column + j if forms[index] == "row" else first + j]

        _steps(shape, width, read, lambda value, j: T.buffer_store(y, value, [first + j]))

    whole = count // lanes
    with T.serial(whole) as block:
        values(block * lanes, lanes, 0)
    with T.serial(count - whole * lanes) as rest:
        values(whole * lanes + rest, 1, rest)


def _row_epilogue(shape: DenseShape, y: Any, streams: list[Stream], rows: Any) -> None:
    """Row by row: the streams' rows follow rules of their own."""
    with T.serial(rows) as row:
        places = [T.Bind(stream.row(row)) for stream in streams]
        for c in range(shape.columns):

            def read(text: str, j: Any, c: int = c) -> Any:
                if text == ACC:
                    return y[row, c]
                index = int(text.split(":")[1])
                stream = streams[index]
                return stream.buffer[places[index], 0 if stream.form == "value" else c]

            _steps(shape, 1, read, lambda value, j, c=c: T.buffer_store(y, value, [row, c]))


def _steps(shape: DenseShape, width: int, read: Any, store: Any) -> None:
    """The epilogue of `width` values, the last step's result handed to `store`."""
    buffers: dict[int, Any] = {}

    def value(index: int, j: Any) -> Any:
        kept = {step: buffer[j] for step, buffer in buffers.items()}
        return evaluate(shape.epilogue, index, lambda text: read(text, j), kept)

    for index in kept_steps(shape.epilogue):
        buffer = T.alloc_buffer((width,), "float32")
        with T.vectorized(width) as j:
            T.buffer_store(buffer, value(index, j), [j])
        buffers[index] = buffer
    with T.vectorized(width) as j:
        store(value(len(shape.epilogue.steps) - 1, j), j)
