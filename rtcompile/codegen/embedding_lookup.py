"""The embedding look-up kernel: rows of a table by integer ids, every id checked.

    for i in range(count):
        id = ids[i] + (ids[i] < 0 ? rows_in_table : 0)      # ONNX counts from the end below zero
        if 0 <= id < rows_in_table:  out[i, :] = table[id, :]
        else:                        out[i, :] = 0;  status = (1, lookup, ids[i])

`status` is an int64[4] that the caller clears and reads: a request with an id that the model does
not know gets an error, not a crash and not a score.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

__all__ = ["STATUS_ID_OUT_OF_RANGE", "STATUS_WORDS", "LookupShape", "lookup_kernel"]

STATUS_WORDS = 4
STATUS_ID_OUT_OF_RANGE = 1


@dataclass(frozen=True)
class LookupShape:
    """What a look-up kernel is specialised for."""

    dimension: int
    id_dtype: str  # "int32" or "int64"

    @property
    def name(self) -> str:
        """Name of the kernel; equal shapes share one."""
        return f"embedding_lookup_{self.dimension}_{self.id_dtype}"


def lookup_kernel(shape: LookupShape) -> Any:
    """The kernel as a PrimFunc (table*, ids*, out*, status*, count, table rows, look-up number)."""
    with IRBuilder() as builder:
        with T.prim_func(private=True, s_tir=True):
            T.func_name(shape.name)
            T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True})
            table_at = T.arg("table", T.handle("float32"))
            ids_at = T.arg("ids", T.handle(shape.id_dtype))
            out_at = T.arg("out", T.handle("float32"))
            status_at = T.arg("status", T.handle("int64"))
            count = T.arg("count", T.int64())
            table_rows = T.arg("table_rows", T.int64())
            number = T.arg("number", T.int64())
            table = T.decl_buffer((table_rows, shape.dimension), "float32", data=table_at)
            ids = T.decl_buffer((count,), shape.id_dtype, data=ids_at)
            out = T.decl_buffer((count, shape.dimension), "float32", data=out_at)
            status = T.decl_buffer((STATUS_WORDS,), "int64", data=status_at)
            with T.serial(count) as i:
                given = T.Bind(tirx.Cast("int64", ids[i]))
                row = T.Bind(tirx.Select(given < 0, given + table_rows, given))
                with T.If(tirx.And(row >= 0, row < table_rows)):
                    with T.Then(), T.vectorized(shape.dimension) as j:
                        T.buffer_store(out, table[row, j], [i, j])
                    with T.Else():
                        with T.vectorized(shape.dimension) as j:
                            T.buffer_store(out, tirx.const(0, "float32"), [i, j])
                        T.buffer_store(status, tirx.const(STATUS_ID_OUT_OF_RANGE, "int64"), [0])
                        T.buffer_store(status, number, [1])
                        T.buffer_store(status, given, [2])
    return builder.get()
