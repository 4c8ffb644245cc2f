"""The feature kernel: the loop over rows and elements that every feature type shares.

    for i in range(rows):                              # of this tile; row start + i of the columns
        plain:     entry(start + i, slot = i)
        sequence:  for e in elements of row start + i: entry(e, slot = i * length + place)
                   places behind the last element: zeros
    entry(e, slot):
        sink.open(slot)
        for each value of e, until there are `limit` ids:
            sink.put(id of the value)
        if there was none: sink.put(the default's ids)
        sink.close()

A kernel is specialised for how an id is made (`Producer`) and where it goes (`SinkShape`); all that
differs from feature to feature beyond that (column, bucket count, separator, table, defaults) is
passed in, so features of one shape share a kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.features.columns import EncodedColumn
from rtcompile.codegen.features.sinks import Sink, SinkShape, make_sink
from rtcompile.codegen.features.tir import i64

__all__ = ["Arguments", "Producer", "feature_kernel", "kernel_name"]

_ANY = 1 << 40
SCALARS = ("column", "limit", "default_count", "length", "width", "number", "detail", "unlisted")


@dataclass(frozen=True)
class Arguments:
    """What a producer may read: the column, the kernel's own scalars, its constants."""

    column: EncodedColumn
    limit: Any
    detail: Any  # bucket count, last slot of a vocabulary, or count of boundaries
    unlisted: Any
    separator: Any
    constants: tuple[Any, ...]  # buffers


@dataclass(frozen=True)
class Producer:
    """How the ids of an entry come about. `constants`: element types of what it needs beside."""

    name: str
    constants: tuple[str, ...]
    emit: Callable[[Arguments, Any, Sink], None]  # (arguments, entry, sink)


def kernel_name(producer: Producer, sink: SinkShape, sequence: bool) -> str:
    """Equal shapes share a kernel."""
    return f"{producer.name}_{sink.name}" + ("_sequence" if sequence else "")


def feature_kernel(producer: Producer, shape: SinkShape, sequence: bool) -> Any:
    """A PrimFunc.

    (columns*, producer's constants*..., defaults*, sink's pointers*..., rows, start,
    column, limit, default count, length, width, number, detail, unlisted, separator)
    """
    with IRBuilder() as builder, T.prim_func(private=True, s_tir=True):
        T.func_name(kernel_name(producer, shape, sequence))
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True})
        columns_at = _pointer("columns", "int64")
        constants_at = [
            (_pointer(f"constant_{i}", dtype), dtype) for i, dtype in enumerate(producer.constants)
        ]
        defaults_at = _pointer("defaults", "int64")
        sink_at = [_pointer(f"sink_{i}", dtype) for i, dtype in enumerate(shape.arguments)]
        rows, start = T.arg("rows", T.int64()), T.arg("start", T.int64())
        scalars = {name: T.arg(name, T.int64()) for name in (*SCALARS, "separator")}
        columns = T.decl_buffer((_ANY,), "int64", data=columns_at)
        column = EncodedColumn(columns, scalars["column"], start)
        constants = tuple(T.decl_buffer((_ANY,), dtype, data=at) for at, dtype in constants_at)
        defaults = T.decl_buffer((_ANY,), "int64", data=defaults_at)
        if shape.form == "ragged":
            _reset(sink_at[-1], start)
        sink = make_sink(shape, sink_at, scalars["width"], scalars["number"])
        arguments = Arguments(
            column,
            scalars["limit"],
            scalars["detail"],
            scalars["unlisted"],
            scalars["separator"],
            constants,
        )

        def entry(at: Any, slot: Any) -> None:
            sink.open(slot)
            producer.emit(arguments, at, sink)
            missing = T.Bind(tirx.Select(sink.count.get() == 0, scalars["default_count"], i64(0)))
            with T.serial(missing) as k:
                sink.put(T.Bind(defaults[k]), None)
            sink.close()

        _walk(column, rows, scalars["length"] if sequence else None, entry, sink.skip)
    return builder.get()


def _walk(
    column: EncodedColumn,
    rows: Any,
    length: Any,
    entry: Callable[[Any, Any], None],
    skip: Callable[[Any], None],
) -> None:
    with T.serial(rows) as i:
        if length is None:
            entry(column.row(i), i)
            return
        first, end = column.entries(column.row(i))
        count = T.Bind(tirx.min(end - first, length))
        with T.serial(count) as e:
            entry(T.Bind(first + e), T.Bind(i * length + e))
        with T.serial(length - count) as e:
            skip(T.Bind(i * length + count + e))


def _reset(cursor_at: Any, start: Any) -> None:
    """The first tile starts the ragged outputs."""
    cursor = T.decl_buffer((2,), "int64", data=cursor_at)
    with T.If(start == i64(0)), T.Then():
        T.buffer_store(cursor, i64(0), [0])
        T.buffer_store(cursor, i64(0), [1])


def _pointer(name: str, dtype: str) -> Any:
    return T.arg(name, T.handle(dtype))
