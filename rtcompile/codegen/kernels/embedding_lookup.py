"""The embedding look-up kernel: rows of a table by ids, every id checked.

    for i in range(count):
        prefetch(table[ids[i + 12]])            # rows that are decoded, or of many cache lines
        given = ids[i]                          # or X[i, column], a float that must be an integer
        id = given + (given < 0 ? rows_in_table : 0)        # ONNX counts from the end below zero
        if 0 <= id < rows_in_table:  out[i, :] = table[id, :]      # as float32; see table_format
        else:    out[i, :] = 0;  status = (1, lookup, given, start + i / factor)

The caller clears and reads the status: a request with an id that the model does
not know gets an error, not a crash and not a score. A column value that is no number, or too large
for an id, sets status 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit.status import number_bits, report
from rtcompile.codegen.emit.structs import Struct
from rtcompile.codegen.emit.tir import i64
from rtcompile.codegen.program.table_format import TableFormat, TableReader
from rtcompile.runtime.abi.status import Code, Status

__all__ = ["LOOKUP_KERNEL", "NEAR_BYTES", "LookupShape", "default_ahead", "lookup_kernel"]

# Floats up to here are exact integers; beyond, an id could not be told from its neighbour.
_LARGEST_FLOAT_ID = float(1 << 24)

# Rows ahead of the one that is read whose lines are fetched, where the table's format asks for it.
_AHEAD = 12

# The name and version of the kernel in tuning records.
LOOKUP_KERNEL = ("embedding_lookup", 1)

# A table up to here may be in the nearer caches; tasks tell the two kinds apart.
NEAR_BYTES = 1 << 20


@dataclass(frozen=True)
class LookupShape:
    """What a look-up kernel is specialised for. `width` is the columns of X, 1 for plain ids."""

    table: TableFormat
    id_dtype: str  # "int32", "int64", or "float32" for a column of a matrix
    width: int = 1

    @property
    def name(self) -> str:
        """Name of the kernel; equal shapes share one."""
        table = f"{self.table.dtype}_{self.table.dimension}"
        return f"embedding_lookup_{table}_{self.id_dtype}_{self.width}"

    @property
    def parameters(self) -> dict[str, int | str]:
        """What a tuning task of the kernel has."""
        table = self.table
        return {
            "dtype": table.dtype,
            "dimension": table.dimension,
            "ids": self.id_dtype,
            "width": self.width,
        }


def default_ahead(shape: LookupShape) -> int:
    """How many rows ahead the table's lines are fetched; 0 is never."""
    return _AHEAD if shape.table.fetched_ahead else 0


def lookup_kernel(shape: LookupShape, ahead: int | None = None) -> Any:
    """A PrimFunc (table*, ids*, out*, status*, count, start, table rows, look-up number, column,
    factor). `factor`: ids a row, of which `start` is the first.

    `ahead`: how many rows ahead lines are fetched, 0 for never; without it as the format asks.
    """
    ahead = default_ahead(shape) if ahead is None else ahead
    with IRBuilder() as builder, T.prim_func(private=True, s_tir=True):
        T.func_name(shape.name)
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True})
        table_at = T.arg("table", T.handle(shape.table.storage))
        ids_at = T.arg("ids", T.handle(shape.id_dtype))
        out_at = T.arg("out", T.handle("float32"))
        status_at = T.arg("status", T.handle("int64"))
        count, start = T.arg("count", T.int64()), T.arg("start", T.int64())
        table_rows = T.arg("table_rows", T.int64())
        number = T.arg("number", T.int64())
        column, factor = T.arg("column", T.int64()), T.arg("factor", T.int64())
        dimension = shape.table.dimension
        table = TableReader(shape.table, table_at)
        ids = T.decl_buffer((count, shape.width), shape.id_dtype, data=ids_at)
        out = T.decl_buffer((count, dimension), "float32", data=out_at)
        status = Struct(Status, T.decl_buffer((Status.WORDS,), "int64", data=status_at))
        if ahead:
            with T.serial(tirx.min(count, i64(ahead))) as i:
                table.prefetch(_near(ids[i, column], table_rows, shape))
        with T.serial(count) as i:
            if ahead:
                then = tirx.min(i + ahead, count - 1)
                table.prefetch(_near(ids[then, column], table_rows, shape))
            value = T.Bind(ids[i, column])
            given = T.Bind(_as_integer(value, shape))
            row = T.Bind(tirx.Select(given < 0, given + table_rows, given))
            with T.If(tirx.And(row >= 0, row < table_rows)):
                with T.Then():
                    table.columns(row, partial(_store, out, i))
                with T.Else():
                    with T.vectorized(dimension) as j:
                        T.buffer_store(out, tirx.const(0, "float32"), [i, j])
                    at = start + tirx.truncdiv(i, factor)
                    report(status, *_told(value, given, number, shape), at)
    return builder.get()


def _store(out: Any, row: Any, column: Any, value: Any) -> None:
    T.buffer_store(out, value, [row, column])


def _is_integral(value: Any) -> Any:
    """Whether a float can stand for an id. False for NaN: every comparison with it is."""
    limit = tirx.const(_LARGEST_FLOAT_ID, "float32")
    return tirx.And(value >= -limit, value <= limit)


def _as_integer(value: Any, shape: LookupShape) -> Any:
    """The id, or one outside every table where a float cannot stand for one."""
    if shape.id_dtype != "float32":
        return tirx.Cast("int64", value)
    safe = tirx.Select(_is_integral(value), value, tirx.const(0, "float32"))
    outside = tirx.const(-(1 << 62), "int64")
    return tirx.Select(_is_integral(value), tirx.Cast("int64", safe), outside)


def _near(value: Any, rows: Any, shape: LookupShape) -> Any:
    """A row that can be fetched: the id, or the first or last row where it has none."""
    return T.Bind(tirx.max(tirx.min(_as_integer(value, shape), rows - 1), i64(0)))


def _told(value: Any, given: Any, number: Any, shape: LookupShape) -> tuple[Any, Any, Any]:
    """What a report says of an id: code, look-up, value."""
    out_of_range = i64(Code.ID_OUT_OF_RANGE)
    if shape.id_dtype != "float32":
        return out_of_range, number, given
    whole = _is_integral(value)
    code = tirx.Select(whole, out_of_range, i64(Code.NOT_AN_ID))
    return code, number, tirx.Select(whole, given, number_bits(value))
