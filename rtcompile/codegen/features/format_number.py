"""Integers and numbers to digits, in the scratch.

An integer: [-] digits. A number that is whole and below 2**53: the same. Any other: the fewest
digits, 15 to 17, that read back as it, as printf's %g writes them. NaN has no text.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen import wrapping
from rtcompile.codegen.features.scratch import Scratch
from rtcompile.codegen.features.tir import Cell, f64, i64, subtract, u64

__all__ = ["NUMBER_BYTES", "digits_before", "integer_text", "number_text"]

NUMBER_BYTES = 32  # at least what any number takes, and a NUL
_EXACT = 2.0**53
_PRECISIONS = (15, 16, 17)

Body = Callable[[Any, Any, Any], None]  # (text, begin, size)


def integer_text(scratch: Scratch, value: Any, body: Body) -> None:
    """Emit `body` for the digits of an int64."""
    bottom = T.Bind(scratch.top)
    end = T.Bind(bottom + NUMBER_BYTES)
    begin = digits_before(scratch.bytes, end, value)
    with scratch.above(end):
        body(scratch.bytes, begin, T.Bind(end - begin))


def digits_before(text: Any, end: Any, value: Any) -> Any:
    """Write the digits of an int64 before text[end]; returns where they begin."""
    negative = T.Bind(value < i64(0))
    bits = T.reinterpret("uint64", value)
    rest = Cell("uint64", tirx.Select(negative, subtract(u64(0), bits), bits))
    at, more = Cell("int64", end), Cell("int32", 1)
    with T.While(more.get() != 0):
        digit = tirx.Cast("uint8", tirx.truncmod(rest.get(), u64(10)))
        at.add(-1)
        T.buffer_store(text, digit + tirx.const(ord("0"), "uint8"), [at.get()])
        rest.set(tirx.truncdiv(rest.get(), u64(10)))
        more.set(tirx.Cast("int32", rest.get() != u64(0)))
    with T.If(negative), T.Then():
        at.add(-1)
        T.buffer_store(text, tirx.const(ord("-"), "uint8"), [at.get()])
    return T.Bind(at.get())


def number_text(scratch: Scratch, value: Any, body: Body) -> None:
    """Emit `body` for the text of a float64, unless it is NaN."""
    bottom = T.Bind(scratch.top)
    end = T.Bind(bottom + NUMBER_BYTES)
    begin, size = Cell("int64", bottom), Cell("int64", i64(0))
    whole = tirx.And(value > f64(-_EXACT), value < f64(_EXACT))
    cut = T.Bind(tirx.Cast("int64", T.Bind(tirx.Select(whole, value, f64(0.0)))))
    with T.If(tirx.And(whole, tirx.Cast("float64", cut) == value)):
        with T.Then():
            begin.set(digits_before(scratch.bytes, end, cut))
            size.set(end - begin.get())
        with T.Else():
            _printed(scratch, value, bottom, size)
    with T.If(tirx.Not(tirx.isnan(value))), T.Then(), scratch.above(end):
        body(scratch.bytes, T.Bind(begin.get()), T.Bind(size.get()))


def _printed(scratch: Scratch, value: Any, bottom: Any, size: Cell) -> None:
    done = Cell("int32", 0)
    for precision in _PRECISIONS:
        with T.If(done.get() == 0), T.Then():
            out = T.address_of(scratch.bytes[bottom])
            digits = tirx.const(precision, "int32")
            written = T.call_extern("int64", wrapping.PRINT_NUMBER, value, digits, out)
            size.set(T.Bind(written))
            none = T.reinterpret("handle", u64(0))
            back = T.Bind(T.call_extern("float64", "strtod", out, none))
            done.set(tirx.Cast("int32", back == value))
