"""Kernels that bring stage results to the rows of a tile: from the one user, and from the items.

    spread_rows:  target[i, :] = source[0, :]               a request's user, for every row
    gather_rows:  prefetch(source[indices[i + 12], :])      where a row has several cache lines
                  target[i, :] = source[indices[i], :]      the items of the rows, by their places

A row is copied in vectors of 64 bytes, without a loop where it is short. `indices` are places in
the item table, which the runtime knows to be inside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit.pointers import ANY, LINE, prefetch_row
from rtcompile.codegen.emit.tir import i64

__all__ = ["RowForm", "gather_rows_kernel", "spread_rows_kernel"]

_MOST_UNROLLED = 16  # steps of the copy, of a line each
_AHEAD = 12  # rows; as of embedding tables


@dataclass(frozen=True)
class RowForm:
    """What a kernel is specialised for: rows of `elements` values of `dtype`."""

    dtype: str
    elements: int

    @property
    def spread_name(self) -> str:
        """Name of `spread_rows`; equal forms share one."""
        return f"spread_rows_{self.dtype}_{self.elements}"

    @property
    def gather_name(self) -> str:
        """Name of `gather_rows`."""
        return f"gather_rows_{self.dtype}_{self.elements}"

    @property
    def storage(self) -> str:
        """What is copied: a bool is a byte, and no vector of bits."""
        return "uint8" if self.dtype == "bool" else self.dtype

    @property
    def value_bytes(self) -> int:
        """Of a value."""
        return np.dtype(self.storage).itemsize


def spread_rows_kernel(form: RowForm) -> Any:
    """A PrimFunc (source*, target*, rows)."""
    with IRBuilder() as builder, T.prim_func(private=True, s_tir=True):
        _begin(form.spread_name)
        source_at = T.arg("source", T.handle(form.storage))
        target_at = T.arg("target", T.handle(form.storage))
        rows = T.arg("rows", T.int64())
        source = T.decl_buffer((form.elements,), form.storage, data=source_at)
        target = T.decl_buffer((rows * form.elements,), form.storage, data=target_at)
        with T.serial(rows) as i:
            _copy_row(form, (source, i64(0)), (target, i * form.elements))
    return builder.get()


def gather_rows_kernel(form: RowForm) -> Any:
    """A PrimFunc (source*, indices*, target*, rows)."""
    with IRBuilder() as builder, T.prim_func(private=True, s_tir=True):
        _begin(form.gather_name)
        source_at = T.arg("source", T.handle(form.storage))
        indices_at = T.arg("indices", T.handle("int64"))
        target_at = T.arg("target", T.handle(form.storage))
        rows = T.arg("rows", T.int64())
        source = T.decl_buffer((ANY,), form.storage, data=source_at)
        indices = T.decl_buffer((rows,), "int64", data=indices_at)
        target = T.decl_buffer((rows * form.elements,), form.storage, data=target_at)
        # Of a row of one line, the CPU has many loads under way by itself.
        ahead = _AHEAD if form.elements * form.value_bytes > LINE else 0
        if ahead:
            with T.serial(tirx.min(rows, i64(ahead))) as i:
                _fetch_row(form, source, T.Bind(indices[i]))
        with T.serial(rows) as i:
            if ahead:
                _fetch_row(form, source, T.Bind(indices[tirx.min(i + ahead, rows - 1)]))
            first = T.Bind(indices[i] * form.elements)
            _copy_row(form, (source, first), (target, i * form.elements))
    return builder.get()


def _begin(name: str) -> None:
    T.func_name(name)
    T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True})


def _fetch_row(form: RowForm, source: Any, row: Any) -> None:
    first = T.Bind(row * form.elements)
    prefetch_row(source, first, form.elements, form.value_bytes, _MOST_UNROLLED)


def _copy_row(form: RowForm, source: tuple[Any, Any], target: tuple[Any, Any]) -> None:
    """(buffer, first element) of both."""
    step = LINE // form.value_bytes
    whole, rest = divmod(form.elements, step)
    unrolled = whole <= _MOST_UNROLLED

    def copy(at: Any, lanes: int) -> None:
        places = [
            first + at if lanes == 1 else tirx.Ramp(first + at, i64(1), lanes)
            for first in (source[1], target[1])
        ]
        T.buffer_store(target[0], tirx.BufferLoad(source[0], places[:1]), places[1:])

    if unrolled:
        for k in range(whole):
            copy(i64(k * step), step)
    else:
        with T.serial(i64(whole)) as k:
            copy(k * step, step)
    if rest:
        copy(i64(whole * step), rest)
