"""Numbers of a column, and the kernel of dense raw features.

for i in range(rows):                  # and for each element of a sequence
    for place in range(value_dim):
        x = place < count ? numbers[first + place] : NaN
        out[slot, place] = float32(normalize(x is NaN ? defaults[place] : x))
"""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.features.columns import EncodedColumn
from rtcompile.codegen.features.normalize import normalized, normalizer_name
from rtcompile.codegen.features.tir import Cell, i64
from rtcompile.features.plan import Normalizer

__all__ = ["dense_kernel_name", "dense_number_kernel", "number_or_default"]

_ANY = 1 << 40


def number_or_default(column: EncodedColumn, entry: Any, place: Any, defaults: Any) -> Any:
    """The number at a place of an entry; the default's where there is none, or it is NaN."""
    first, end = column.values(entry)
    found = Cell("float64", defaults[place])
    with T.If(first + place < end), T.Then():
        given = T.Bind(column.number(first + place))
        with T.If(tirx.Not(tirx.isnan(given))), T.Then():
            found.set(given)
    return T.Bind(found.get())


def dense_kernel_name(normalizer: Normalizer | None, sequence: bool, ragged: bool) -> str:
    """Equal shapes share a kernel."""
    form = ("_ragged" if ragged else "_sequence") if sequence else ""
    return f"numbers{normalizer_name(normalizer)}{form}"


def dense_number_kernel(normalizer: Normalizer | None, sequence: bool, ragged: bool) -> Any:
    """A PrimFunc (columns*, defaults*, out*, rows, start, column, width, length).

    Plain: out is [rows, width]; a padded sequence's [rows, length, width], zeros behind its
    elements. A ragged one writes each element to its own place: out is [elements, width].
    """
    with IRBuilder() as builder, T.prim_func(private=True, s_tir=True):
        T.func_name(dense_kernel_name(normalizer, sequence, ragged))
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True})
        columns_at = T.arg("columns", T.handle("int64"))
        defaults_at, out_at = (
            T.arg("defaults", T.handle("float64")),
            T.arg("out", T.handle("float32")),
        )
        names = ("rows", "start", "column", "width", "length")
        rows, start, index, width, length = (T.arg(name, T.int64()) for name in names)
        columns = T.decl_buffer((_ANY,), "int64", data=columns_at)
        column = EncodedColumn(columns, index, start)
        defaults = T.decl_buffer((_ANY,), "float64", data=defaults_at)
        out = T.decl_buffer((_ANY,), "float32", data=out_at)

        def entry(at: Any, slot: Any) -> None:
            with T.serial(width) as place:
                number = number_or_default(column, at, place, defaults)
                single = tirx.Cast("float32", normalized(normalizer, number))
                T.buffer_store(out, single, [slot * width + place])

        with T.serial(rows) as i:
            if not sequence:
                entry(column.row(i), i)
            else:
                first, end = column.entries(column.row(i))
                count = T.Bind(end - first if ragged else tirx.min(end - first, length))
                with T.serial(count) as e:
                    entry(T.Bind(first + e), T.Bind(first + e if ragged else i * length + e))
                if not ragged:
                    _zeros(out, (i * length + count) * width, (length - count) * width)
    return builder.get()


def _zeros(out: Any, first: Any, count: Any) -> None:
    begin = T.Bind(first)
    with T.serial(tirx.max(count, i64(0))) as k:
        T.buffer_store(out, tirx.const(0, "float32"), [begin + k])
