"""Integers and numbers to digits, in the scratch.

An integer: [-] digits. A number that is whole and below 2**53: the same. Any other: the fewest
digits, 15 to 17, that read back as it, as printf's %g writes them. NaN has no text.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit import llvm_helpers as wrapping
from rtcompile.codegen.emit.tir import (
    Cell,
    f64,
    i64,
    subtract,
    u64,
)
from rtcompile.codegen.features.scratch import Scratch

__all__ = ["NUMBER_BYTES", "integer_text", "number_text", "write_digits"]

NUMBER_BYTES = 32  # at least what any number takes, and a NUL
_EXACT = 2.0**53
_EIGHT = 10**8  # numbers below it have up to eight digits
_ZEROS = 0x3030_3030_3030_3030  # eight times "0"
_PRECISIONS = (15, 16, 17)

Body = Callable[[Any, Any, Any], None]  # (text, begin, size)


def integer_text(scratch: Scratch, value: Any, body: Body) -> None:
    """Emit `body` for the digits of an int64."""
    begin = T.Bind(scratch.top)
    size = write_digits(scratch.bytes, begin, value)
    with scratch.above(begin + NUMBER_BYTES):
        body(scratch.bytes, begin, size)


def write_digits(text: Any, at: Any, value: Any) -> Any:
    """Write the digits of an int64 to text[at:], and up to NUMBER_BYTES in all; returns how many
    bytes they are.

        first, second, third = value / 10**16, value / 10**8 % 10**8, value % 10**8
        text[at] = the first of these that is not 0, without its leading zeros
        text[...] = those behind it, eight digits each
    """
    negative = T.Bind(value < i64(0))
    bits = T.reinterpret("uint64", value)
    rest = T.Bind(tirx.Select(negative, subtract(u64(0), bits), bits))
    with T.If(negative), T.Then():
        T.buffer_store(text, tirx.const(ord("-"), "uint8"), [at])
    begin = T.Bind(at + tirx.Cast("int64", negative))
    end = Cell("int64", begin)
    with T.If(rest < u64(_EIGHT)):
        with T.Then():
            _first_digits(text, end, rest)
        with T.Else():
            high = _of_digits(wrapping.DROP_EIGHT, rest)
            with T.If(high < u64(_EIGHT)):
                with T.Then():
                    _first_digits(text, end, high)
                with T.Else():
                    _first_digits(text, end, _of_digits(wrapping.DROP_EIGHT, high))
                    _eight_more(text, end, _of_digits(wrapping.LAST_EIGHT, high))
            _eight_more(text, end, _of_digits(wrapping.LAST_EIGHT, rest))
    return T.Bind(end.get() - at)


def _first_digits(text: Any, end: Cell, value: Any) -> None:
    """The digits of a number below 10**8, at least one."""
    digits = _of_digits(wrapping.EIGHT_DIGITS, value)
    # The lowest byte is the first digit. Of 0 the last one stays.
    found = T.call_llvm_pure_intrin(
        "uint64", "llvm.cttz", digits | u64(1 << 56), tirx.const(True, "bool")
    )
    zeros = T.Bind(found >> u64(3))
    _store(text, end, (digits | u64(_ZEROS)) >> (zeros << u64(3)))
    end.add(8 - tirx.Cast("int64", zeros))


def _eight_more(text: Any, end: Cell, value: Any) -> None:
    _store(text, end, _of_digits(wrapping.EIGHT_DIGITS, value) | u64(_ZEROS))
    end.add(i64(8))


def _store(text: Any, end: Cell, word: Any) -> None:
    T.buffer_store(text, T.reinterpret("uint8x8", word), [tirx.Ramp(end.get(), i64(1), 8)])


def _of_digits(function: str, value: Any) -> Any:
    return T.Bind(T.call_pure_extern("uint64", function, value))


def number_text(scratch: Scratch, value: Any, body: Body) -> None:
    """Emit `body` for the text of a float64, unless it is NaN."""
    bottom = T.Bind(scratch.top)
    size = Cell("int64", i64(0))
    whole = tirx.And(value > f64(-_EXACT), value < f64(_EXACT))
    cut = T.Bind(tirx.Cast("int64", T.Bind(tirx.Select(whole, value, f64(0.0)))))
    with T.If(tirx.And(whole, tirx.Cast("float64", cut) == value)):
        with T.Then():
            size.set(write_digits(scratch.bytes, bottom, cut))
        with T.Else():
            _printed(scratch, value, bottom, size)
    with T.If(tirx.Not(tirx.isnan(value))), T.Then(), scratch.above(bottom + NUMBER_BYTES):
        body(scratch.bytes, bottom, T.Bind(size.get()))


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
