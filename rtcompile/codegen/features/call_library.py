"""Calls of custom operators in shared libraries.

    inputs = scratch: (address, bytes) of each input's text
    count = function(inputs, inputs' count, parameters, scratch behind them, capacity)

The function's address stands in a column's descriptor, where the runtime puts it.
"""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit import llvm_helpers as wrapping
from rtcompile.codegen.emit.structs import Struct
from rtcompile.codegen.emit.tir import i64
from rtcompile.codegen.features.inputs import InputView, Views
from rtcompile.features.types.library_operator import RESULT_BYTES
from rtcompile.runtime.abi.encoded import ColumnDescriptor
from rtcompile.runtime.abi.layout import COMPILED, Layout, pointer, word

__all__ = ["OperatorText", "emit_library_numbers", "emit_library_text", "library_scratch_bytes"]


class OperatorText(Layout, owner=COMPILED):
    """C's rtcompile_text, of `rtcompile/features/rtcompile_operator.h`."""

    DATA = pointer()
    SIZE = word()


def library_scratch_bytes(inputs: int, numbers: int) -> int:
    """Bytes of scratch that a call needs."""
    return 8 * (OperatorText.WORDS * inputs + numbers + 1) + RESULT_BYTES


def _call(views: Views, capacity: Any) -> tuple[Any, Any]:
    """(what the function returned, the first word behind its inputs)."""
    words, at = views.kernel.scratch.words("int64")
    for index, view in enumerate(views.inputs):
        assert isinstance(view, InputView)
        present = T.Bind(view.first < view.end)
        begin, end = view.column.bytes_of(T.Bind(tirx.Select(present, view.first, i64(0))))
        size = T.Bind(tirx.Select(present, end - begin, i64(0)))
        text = Struct(OperatorText, words, at + OperatorText.WORDS * index)
        text[OperatorText.DATA] = view.column.text_address + begin
        text[OperatorText.SIZE] = size
    out = T.Bind(at + OperatorText.WORDS * len(views.inputs))
    first = views.scalar("function") * i64(ColumnDescriptor.WORDS)
    descriptor = Struct(ColumnDescriptor, views.columns_table, first)
    count = T.call_extern(
        "int64",
        wrapping.CALL_OPERATOR,
        T.Bind(descriptor[ColumnDescriptor.PLACES]),
        T.address_of(words[at]),
        i64(len(views.inputs)),
        T.address_of(views.constant("parameters")[0]),
        T.address_of(words[out]),
        capacity,
    )
    return T.Bind(tirx.max(i64(0), tirx.min(T.Bind(count), capacity))), out


def emit_library_numbers(views: Views, put: Any) -> None:
    """Emit `put(number, valid)` for each number."""
    capacity = T.Bind(tirx.max(views.scalar("limit"), i64(1)))
    count, out = _call(views, capacity)
    numbers, _ = views.kernel.scratch.words("float64")
    with T.serial(count) as k, views.kernel.scratch.above(T.Bind((out + count) << 3)):
        put(T.Bind(numbers[out + k]), tirx.const(True, "bool"))


def emit_library_text(views: Views, split: Any) -> None:
    """Emit `split(text, begin, size)` for the text."""
    size, out = _call(views, i64(RESULT_BYTES))
    scratch, begin = views.kernel.scratch, T.Bind(out << 3)
    with scratch.above(T.Bind(begin + size)):
        split(scratch.bytes, begin, size)
