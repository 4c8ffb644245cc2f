"""The function `encode`: a request's values, as marshal writes them, to encoded columns.

    for each column of the plan:
        encode it, or leave it to the runtime       # `encode_column.py`

The work is an internal function, `encode_values`, which `serve` calls too.

`runtime/abi/encode_values.py` describes the plan and the state, `runtime/abi/encoded.py` the
columns.
"""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit.pointers import ANY
from rtcompile.codegen.emit.structs import Struct
from rtcompile.codegen.emit.tir import Cell, i64
from rtcompile.codegen.entry.packed_api import tensor_main
from rtcompile.codegen.features.column_writer import ValueSink
from rtcompile.codegen.features.encode_column import Column
from rtcompile.codegen.features.wire_format import HEAD_BYTES, Marshalled
from rtcompile.runtime.abi.encode_values import ENCODE, EncodeState, Plan

__all__ = ["ENCODE_VALUES", "encode_main", "encode_values"]

ENCODE_VALUES = "encode_values"

_ALL_LEFT = -(1 << 40)  # below 0 whatever is added

# What both functions take.
_SCALARS = ("count", "rows", "single")
_ARRAYS = (
    ("state", "int64"),
    ("plan", "int64"),
    ("data", "uint8"),
    ("columns", "int64"),
    ("words", "int64"),
    ("offsets", "int64"),
    ("numbers", "float64"),
    ("text", "uint8"),
)


def encode_values() -> Any:
    """The internal PrimFunc `encode_values(count, rows, single, state*, plan*, data*, ...)`.

    `count`: columns of the plan. `rows` rows, in a list each unless `single`. `data`: the bytes of
    a tuple of the columns.
    """
    with IRBuilder() as builder, T.prim_func(private=True, s_tir=True):
        T.func_name(ENCODE_VALUES)
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True})
        count, rows, single = (T.arg(name, T.int64()) for name in _SCALARS)
        pointers = [T.arg(name, T.handle(dtype)) for name, dtype in _ARRAYS]
        state_words, plan, data, columns, *parts = (
            T.decl_buffer((ANY,), dtype, data=pointer)
            for pointer, (_, dtype) in zip(pointers, _ARRAYS, strict=True)
        )
        state, sink = Struct(EncodeState, state_words), ValueSink(*parts)
        reader = Marshalled(data, i64(HEAD_BYTES), with_arrays=True)
        left, column = Cell("int64", i64(0)), Cell("int64", i64(0))
        # There is room for as many rows as were written, not as were asked for.
        fits = T.Bind(tirx.Or(single != 0, reader.has_rows(rows)))
        with T.If(fits):
            with T.Then():
                sink.start(rows)
            with T.Else():
                column.set(count)
                left.set(i64(_ALL_LEFT))
        with T.While(column.get() < count):
            one = Column(reader, sink, Struct(Plan, plan, T.Bind(column.get() * Plan.WORDS)))
            one.encode(rows, single)
            passed = one.finish(columns, state)
            state.set_element(EncodeState.FLAGS, column.get(), one.bad.get())
            left.add(one.bad.get())
            with T.If(passed):
                with T.Then():
                    column.add(i64(1))
                with T.Else():
                    column.set(count)
                    left.set(i64(_ALL_LEFT))
        state[EncodeState.LEFT] = tirx.max(left.get(), i64(-1))
        state[EncodeState.SIZE] = sink.size()
    return builder.get()


def encode_main() -> Any:
    """The public PrimFunc `encode`, of tensors."""
    arrays = [(name, None, dtype) for name, dtype in _ARRAYS]
    return tensor_main(ENCODE, _SCALARS, arrays, ENCODE_VALUES)
