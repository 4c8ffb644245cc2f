"""The feature kernel: from encoded columns to a sink, for every feature type.

    for i in range(rows):                              # of this tile
        plain:     entry(slot = i)
        sequence:  for each element: entry(slot = i * length + place); zeros behind the last
    entry(slot):
        sink.open(slot)
        the operator's tokens or numbers -> bucketizer or normalizer -> sink
        the default, where there was none
        sink.close()

A kernel is specialised for the operator, the bucketizer and the sink; all that differs from feature
to feature beyond that (columns, bucket count, separator, tables, defaults) is passed in
(`kernel_parameters.py`), so features of one shape share a kernel.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit.pointers import ANY
from rtcompile.codegen.emit.structs import Struct
from rtcompile.codegen.emit.tir import i64
from rtcompile.codegen.features.dictionary_encoding import has_key_numbers
from rtcompile.codegen.features.feature_writers import (
    PooledSink,
    Sink,
    SinkShape,
    make_sink,
)
from rtcompile.codegen.features.finalizers import NumberEnd, TextEnd
from rtcompile.codegen.features.inner import emit_inner
from rtcompile.codegen.features.inputs import Kernel, Views, walk_entries
from rtcompile.codegen.features.kernel_parameters import Slots, shape_key
from rtcompile.codegen.features.map_look_up_kernel import emit_joined
from rtcompile.codegen.features.number_operators import emit_numbers
from rtcompile.codegen.features.scalar_features import emit_single_numbers, has_single_number
from rtcompile.codegen.features.scratch import Scratch
from rtcompile.codegen.features.tally import Tally
from rtcompile.codegen.features.text_operators import emit_tokens
from rtcompile.features.plan import Feature
from rtcompile.runtime.abi.extract import Cursor
from rtcompile.runtime.abi.status import Tallied

__all__ = ["feature_kernel", "kernel_name"]


def kernel_name(feature: Feature, sink: SinkShape) -> str:
    """Equal shapes share a kernel."""
    operator = type(feature.operator).__name__.lower()
    return f"{operator}_{sink.name}_{shape_key(feature)}"


def feature_kernel(feature: Feature, shape: SinkShape, slots: Slots) -> Any:
    """A PrimFunc.

    (columns*, scratch*, key numbers*, status*, constants*..., sink's pointers*..., rows, start,
    length, width, number, tally, scalars...), constants and scalars in the order of `slots`;
    without key numbers where the feature has none, else for the rows of a whole call.
    """
    with IRBuilder() as builder, T.prim_func(private=True, s_tir=True):
        T.func_name(kernel_name(feature, shape))
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True})
        columns_at, scratch_at = T.arg("columns", T.handle("int64")), T.arg("s", T.handle("uint8"))
        keys_at = T.arg("keys", T.handle("int64")) if has_key_numbers(feature) else None
        status_at = T.arg("status", T.handle("int64"))
        constants_at = {
            name: (T.arg(f"constant_{i}", T.handle(str(array.dtype))), str(array.dtype))
            for i, (name, array) in enumerate(slots.constants.items())
        }
        sink_at = [T.arg(f"sink_{i}", T.handle(dtype)) for i, dtype in enumerate(shape.arguments)]
        names = ("rows", "start", "length", "width", "number", "tally")
        rows, start, length, width, number, tallied = (T.arg(name, T.int64()) for name in names)
        scalars = {name: T.arg(f"scalar_{i}", T.int64()) for i, name in enumerate(slots.scalars)}
        constants = {
            name: T.decl_buffer((ANY,), dtype, data=at)
            for name, (at, dtype) in constants_at.items()
        }
        columns = T.decl_buffer((ANY,), "int64", data=columns_at)
        keys = None if keys_at is None else T.decl_buffer((ANY,), "int64", data=keys_at)
        if shape.form.startswith("ragged"):
            _reset(sink_at[-1], start)
        status = Struct(Tallied, T.decl_buffer((ANY,), "int64", data=status_at))
        tally = Tally(status, tallied, start)
        kernel = Kernel(scalars, constants, Scratch(scratch_at), emit_inner, tally, keys)
        views = Views(feature, kernel, columns, start)
        per_row = length if feature.sequence is not None and keys is None else None
        row_of = partial(_row_of, start, per_row)
        sink = make_sink(shape, sink_at, status, width, number, row_of)
        if keys is not None:
            emit_joined(views, sink, rows, lambda: _body(views, sink, rows, None))
        else:
            _body(views, sink, rows, None if feature.sequence is None else length)
        if isinstance(sink, PooledSink):
            sink.finish()
        tally.finish()
    return builder.get()


def _body(views: Views, sink: Sink, rows: Any, length: Any) -> None:
    if has_single_number(views.feature):
        emit_single_numbers(views, sink.put_only, rows)
        return
    if views.feature.numeric:
        numbers = NumberEnd(views, sink)

        def entry(slot: Any) -> None:
            numbers.open(slot)
            emit_numbers(views, numbers.wanted, numbers.put)
            numbers.close()

    else:
        text = TextEnd(views, sink)

        def entry(slot: Any) -> None:
            text.open(slot)
            emit_tokens(views, text.wanted, text.put)
            text.close()

    walk_entries(views, rows, length, entry, sink.skip)


def _row_of(start: Any, length: Any, slot: Any) -> Any:
    """The row of the request that a slot of a tile belongs to."""
    return start + (slot if length is None else tirx.truncdiv(slot, length))


def _reset(cursor_at: Any, start: Any) -> None:
    """The first tile starts the ragged outputs."""
    words = T.decl_buffer((Cursor.WORDS,), "int64", data=cursor_at)
    cursor = Struct(Cursor, words)
    with T.If(start == i64(0)), T.Then():
        for field in Cursor.FIELDS:
            cursor[field] = i64(0)
