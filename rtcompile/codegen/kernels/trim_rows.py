"""Kernels of sequences that are computed up to their end (`trim_sequences.py`).

    last_position:  length[0] = 1 + the last j that counts, of `width`; 1 where none does
    trim_product:   target[i l + j, :] = query[i, :] * key[j, :]      for j < l
    trim_rows:      target[i l + j, :] = source[i L + j, :]           for j < l
    pad_positions:  target[i L + j, :] = source[i l + j, :], zeros from j = l on

l is the length of the request's sequence, L its room.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit.pointers import ANY
from rtcompile.codegen.kernels.lanes import LANES

__all__ = [
    "PAD_KERNEL",
    "PRODUCT_KERNEL",
    "TRIM_KERNEL",
    "last_position_kernel",
    "last_position_name",
    "pad_positions_kernel",
    "trim_product_kernel",
    "trim_rows_kernel",
]

PAD_KERNEL, PRODUCT_KERNEL, TRIM_KERNEL = "pad_positions", "trim_product", "trim_rows"

# A bias as far below the largest one makes a weight of exactly zero: softmax takes e^-104 for 0.
_FAR_BELOW = 1e8


def last_position_name(form: str, dtype: str) -> str:
    """One kernel a form and dtype."""
    return f"last_position_{form}_{dtype}"


def last_position_kernel(form: str, dtype: str) -> Any:
    """A PrimFunc (mask*, length*, rows, width). `form`: which positions count.

    "nonzero", "zero" (its opposite), or "above": not far below the largest; a NaN counts.
    """
    stored = "uint8" if dtype == "bool" else dtype
    with IRBuilder() as builder, T.prim_func(private=True, s_tir=True):
        T.func_name(last_position_name(form, dtype))
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True})
        mask_at, length_at = T.arg("mask", T.handle(stored)), T.arg("length", T.handle("int64"))
        T.arg("rows", T.int64())
        width = T.arg("width", T.int64())
        mask = T.decl_buffer((width,), stored, data=mask_at)
        length = T.decl_buffer((1,), "int64", data=length_at)
        counts = _above(mask, width, stored) if form == "above" else _compared(form, mask, stored)
        # One position at least: a NaN of the item's reaches the scores of an empty history.
        T.buffer_store(length, tirx.const(1, "int64"), [0])
        with T.serial(width) as j:
            T.buffer_store(length, tirx.Select(counts(j), j + 1, length[0]), [0])
    return builder.get()


def _above(mask: Any, width: Any, dtype: str) -> Callable[[Any], Any]:
    most = T.alloc_buffer((1,), dtype)
    T.buffer_store(most, mask[0], [0])
    with T.serial(width) as j:
        T.buffer_store(most, tirx.max(most[0], mask[j]), [0])

    def counts(j: Any) -> Any:
        # TVM makes of `not (mask <= ...)` a comparison that a NaN fails.
        return tirx.Or(mask[j] > most[0] - tirx.const(_FAR_BELOW, dtype), tirx.isnan(mask[j]))

    return counts


def _compared(form: str, mask: Any, dtype: str) -> Callable[[Any], Any]:
    zero = tirx.const(0, dtype)
    if form == "zero":
        return lambda j: tirx.EQ(mask[j], zero)
    return lambda j: tirx.NE(mask[j], zero)


def trim_product_kernel() -> Any:
    """A PrimFunc (query*, key*, target*, rows, l, depth), float32."""
    with IRBuilder() as builder, T.prim_func(private=True, s_tir=True):
        T.func_name(PRODUCT_KERNEL)
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True})
        at = [T.arg(name, T.handle("float32")) for name in ("query", "key", "target")]
        rows, length, depth = (T.arg(name, T.int64()) for name in ("rows", "length", "depth"))
        query, key, target = (T.decl_buffer((ANY,), "float32", data=data) for data in at)
        with T.serial(rows) as i, T.serial(length) as j:
            place = T.Bind((i * length + j) * depth)
            _in_vectors(depth, target, place, lambda k: query[i * depth + k] * key[j * depth + k])
    return builder.get()


def trim_rows_kernel() -> Any:
    """A PrimFunc (source*, target*, rows, l, L, depth), float32."""
    with IRBuilder() as builder, T.prim_func(private=True, s_tir=True):
        T.func_name(TRIM_KERNEL)
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True})
        at = [T.arg(name, T.handle("float32")) for name in ("source", "target")]
        names = ("rows", "length", "room", "depth")
        rows, length, room, depth = (T.arg(name, T.int64()) for name in names)
        source, target = (T.decl_buffer((ANY,), "float32", data=data) for data in at)
        with T.serial(rows) as i:
            first = T.Bind(i * room * depth)
            _in_vectors(length * depth, target, i * length * depth, lambda k: source[first + k])
    return builder.get()


def pad_positions_kernel() -> Any:
    """A PrimFunc (source*, target*, rows, l, L), float32, one value a position."""
    with IRBuilder() as builder, T.prim_func(private=True, s_tir=True):
        T.func_name(PAD_KERNEL)
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True})
        at = [T.arg(name, T.handle("float32")) for name in ("source", "target")]
        rows, length, room = (T.arg(name, T.int64()) for name in ("rows", "length", "room"))
        source, target = (T.decl_buffer((ANY,), "float32", data=data) for data in at)
        with T.serial(rows) as i:
            _in_vectors(length, target, i * room, lambda k: source[i * length + k])
            zero = lambda k: tirx.const(0, "float32")  # noqa: E731
            _in_vectors(room - length, target, i * room + length, zero)
    return builder.get()


def _in_vectors(count: Any, target: Any, place: Any, value: Any) -> None:
    """target[place + k] = value(k) for k < count."""
    whole = T.Bind(tirx.floordiv(count, LANES))
    with T.serial(whole) as block, T.vectorized(LANES) as j:
        T.buffer_store(target, value(block * LANES + j), [place + block * LANES + j])
    with T.serial(count - whole * LANES) as rest:
        k = whole * LANES + rest
        T.buffer_store(target, value(k), [place + k])
