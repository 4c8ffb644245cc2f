"""The kernel of embedding bags: rows of a table by ids between bounds, every id checked.

    for i in range(count):
        out[i, :] = 0;  kept = 0                                        # -inf for a maximum
        for k in range(bounds[i, 1] - bounds[i, 0]):
            given = ids[bounds[i, 0] + k]
            id = given + (given < 0 ? rows_in_table : 0)
            if not 0 <= id < rows_in_table:  status = (1, lookup, given, start + i)
            elif id != padding:
                out[i, :] = out[i, :] + table[id, :]                    # * weights[...], or max
                kept += 1
        if kept == 0:  out[i, :] = empty
        else:          out[i, :] = out[i, :] / kept                     # of a mean

Whoever calls has seen to it that the bounds lie within the ids.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit.pointers import ANY
from rtcompile.codegen.emit.status import report
from rtcompile.codegen.emit.structs import Struct
from rtcompile.codegen.emit.tir import Cell, i64
from rtcompile.codegen.program.table_format import TableFormat, TableReader
from rtcompile.relay_passes.dialect.embedding_bags import BagForm
from rtcompile.relay_passes.exact.exact_values import exact
from rtcompile.runtime.abi.status import Code, Status

__all__ = ["BagShape", "bag_kernel"]


@dataclass(frozen=True)
class BagShape:
    """What the kernel is specialised for. `id_dtype`: "int32" or "int64"."""

    form: BagForm
    table: TableFormat
    id_dtype: str

    @property
    def name(self) -> str:
        """Name of the kernel; equal shapes share one."""
        words = [self.form.mode, self.form.empty, self.table.dtype, self.table.dimension]
        words += [self.id_dtype, *(["padded"] if self.form.padding is not None else [])]
        return f"embedding_bag_{'_'.join(map(str, words))}".replace("-", "m").replace(".", "_")


def bag_kernel(shape: BagShape) -> Any:
    """A PrimFunc (table*, ids*, bounds*, [weights*,] out*, status*, count, start, table rows,
    look-up number, padding)."""
    mode, dimension = shape.form.mode, shape.table.dimension
    with IRBuilder() as builder, T.prim_func(private=True, s_tir=True):
        T.func_name(shape.name)
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True})
        table_at = T.arg("table", T.handle(shape.table.storage))
        ids_at = T.arg("ids", T.handle(shape.id_dtype))
        bounds_at = T.arg("bounds", T.handle("int64"))
        weights_at = T.arg("weights", T.handle("float32")) if mode == "weighted" else None
        out_at = T.arg("out", T.handle("float32"))
        status_at = T.arg("status", T.handle("int64"))
        count, start = T.arg("count", T.int64()), T.arg("start", T.int64())
        rows, number = T.arg("table_rows", T.int64()), T.arg("number", T.int64())
        padding = T.arg("padding", T.int64())
        table = TableReader(shape.table, table_at)
        ids = T.decl_buffer((ANY,), shape.id_dtype, data=ids_at)
        bounds = T.decl_buffer((count, 2), "int64", data=bounds_at)
        weighted = weights_at is not None
        weights: Any = T.decl_buffer((ANY,), "float32", data=weights_at) if weighted else None
        out = T.decl_buffer((count, dimension), "float32", data=out_at)
        status = Struct(Status, T.decl_buffer((Status.WORDS,), "int64", data=status_at))
        with T.serial(count) as i:
            first, end = T.Bind(bounds[i, 0]), T.Bind(bounds[i, 1])
            _set(out, i, dimension, lambda _: _float(-math.inf if mode == "max" else 0.0))
            kept = Cell("int64", i64(0))
            with T.serial(end - first) as k:
                given = T.Bind(tirx.Cast("int64", ids[first + k]))
                row = T.Bind(tirx.Select(given < 0, given + rows, given))
                with T.If(tirx.And(row >= 0, row < rows)):
                    with T.Then():
                        wanted = row != padding if shape.form.padding is not None else None
                        weight = T.Bind(weights[first + k]) if weighted else None
                        _take(shape, table, (out, i), row, weight, kept, wanted)
                    with T.Else():
                        report(status, Code.ID_OUT_OF_RANGE, number, given, start + i)
            _end(shape, out, i, kept)
    return builder.get()


def _take(
    shape: BagShape, table: Any, at: tuple[Any, Any], row: Any, weight: Any, kept: Cell, wanted: Any
) -> None:
    """Emit a row of the table into the bag, where it is `wanted`; None for always."""
    if wanted is not None:
        with T.If(wanted), T.Then():
            _take(shape, table, at, row, weight, kept, None)
        return
    out, i = at

    def add(j: Any, value: Any) -> None:
        if shape.form.mode == "max":
            T.buffer_store(out, exact(tirx.Max(out[i, j], value)), [i, j])
        else:
            T.buffer_store(out, out[i, j] + (value if weight is None else value * weight), [i, j])

    table.columns(row, add)
    kept.add(i64(1))


def _end(shape: BagShape, out: Any, i: Any, kept: Cell) -> None:
    dimension = shape.table.dimension
    with T.If(kept.get() == 0):
        with T.Then():
            _set(out, i, dimension, lambda _: _float(shape.form.empty))
        if shape.form.mode == "mean":
            with T.Else():
                count = T.Bind(tirx.Cast("float32", kept.get()))
                _set(out, i, dimension, lambda j: tirx.Div(out[i, j], count))


def _set(out: Any, i: Any, dimension: int, value: Callable[[Any], Any]) -> None:
    with T.vectorized(dimension) as j:
        T.buffer_store(out, value(j), [i, j])


def _float(value: float) -> Any:
    return tirx.const(value, "float32")
