"""Text to float64, correctly rounded.

    [space] [sign] digits [. digits] [e [sign] digits] [space], or nan, inf, infinity in any case

Up to 15 digits and a power of ten up to 22 are exact in float64, so one product or quotient rounds
once. The rest is copied behind a NUL and left to libc's strtod.
"""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit.tir import (
    Cell,
    add,
    f64,
    i64,
    multiply,
    u64,
)
from rtcompile.codegen.features.bucketize import is_digit, is_space
from rtcompile.codegen.features.scratch import Scratch

__all__ = ["parse_number"]

_EXACT_DIGITS = 15
_EXACT_POWER = 22
_NAN, _INFINITY = 0x7FF8 << 48, 0x7FF0 << 48


def parse_number(text: Any, begin: Any, size: Any, scratch: Scratch) -> tuple[Any, Any]:
    """(the number, whether there is one). `scratch`: room for size + 1 bytes."""
    at, end = Cell("int64", begin), Cell("int64", begin + size)
    with T.While(tirx.And(at.get() < end.get(), is_space(text[at.get()]))):
        at.add(1)
    with T.While(tirx.And(end.get() > at.get(), is_space(text[tirx.max(at.get(), end.get() - 1)]))):
        end.add(-1)
    start, stop = T.Bind(at.get()), T.Bind(end.get())
    negative = T.Bind(tirx.And(start < stop, text[start] == _char("-")))
    signed = T.Bind(tirx.Or(negative, tirx.And(start < stop, text[start] == _char("+"))))
    at.add(tirx.Cast("int64", signed))
    scan = _Scan(text, at, stop)
    value, valid = Cell("float64", f64(0.0)), Cell("int32", 0)
    turned = Cell("int32", tirx.Cast("int32", negative))  # whether the sign is still to be put on
    with T.If(tirx.And(scan.digits.get() > 0, at.get() == stop)), T.Then():
        valid.set(1)
        power = T.Bind(scan.power.get())
        small = tirx.And(power >= i64(-_EXACT_POWER), power <= i64(_EXACT_POWER))
        with T.If(tirx.And(scan.significant.get() <= i64(_EXACT_DIGITS), small)):
            with T.Then():
                value.set(_scaled(scan.mantissa, power))
            with T.Else():
                value.set(_by_libc(text, start, stop, scratch))
                turned.set(0)
    with T.If(valid.get() == 0), T.Then():
        _words(text, (T.Bind(start + tirx.Cast("int64", signed)), stop), value, valid)
    minus = T.Bind(f64(-1.0) * value.get())
    number = T.Bind(tirx.Select(turned.get() != 0, minus, value.get()))
    return number, T.Bind(valid.get() != 0)


class _Scan:
    """Reads digits, fraction and exponent: mantissa * 10**power."""

    def __init__(self, text: Any, at: Cell, stop: Any) -> None:
        self._text, self._at, self._stop = text, at, stop
        self.mantissa = Cell("uint64", u64(0))
        self.digits, self.significant = Cell("int64", i64(0)), Cell("int64", i64(0))
        self.power = Cell("int64", i64(0))
        self._digits(behind_point=False)
        with T.If(self._here(".")), T.Then():
            at.add(1)
            self._digits(behind_point=True)
        exponent = tirx.Or(self._here("e"), self._here("E"))
        with T.If(tirx.And(exponent, self.digits.get() > 0)), T.Then():
            self._exponent()

    def _here(self, character: str) -> Any:
        return tirx.And(self._at.get() < self._stop, self._text[self._at.get()] == _char(character))

    def _more(self) -> Any:
        return tirx.And(self._at.get() < self._stop, is_digit(self._text[self._at.get()]))

    def _digits(self, behind_point: bool) -> None:
        with T.While(self._more()):
            digit = T.Bind(tirx.Cast("uint64", self._text[self._at.get()] - _char("0")))
            # Past 19 digits the mantissa is of no use; strtod reads the text itself.
            self.mantissa.set(add(multiply(self.mantissa.get(), u64(10)), digit))
            counts = tirx.Or(self.significant.get() > 0, digit != u64(0))
            self.significant.add(tirx.Cast("int64", counts))
            self.digits.add(1)
            if behind_point:
                self.power.add(-1)
            self._at.add(1)

    def _exponent(self) -> None:
        self._at.add(1)
        down = T.Bind(self._here("-"))
        self._at.add(tirx.Cast("int64", tirx.Or(down, self._here("+"))))
        exponent, count = Cell("int64", i64(0)), Cell("int64", i64(0))
        with T.While(self._more()):
            digit = tirx.Cast("int64", self._text[self._at.get()] - _char("0"))
            # Beyond this every number is 0 or infinite, whatever its digits.
            exponent.set(tirx.min(exponent.get() * 10 + digit, i64(1 << 40)))
            count.add(1)
            self._at.add(1)
        # "1e" is no number: step back, so that the end is not reached.
        self._at.add(tirx.Select(count.get() == 0, i64(-1), i64(0)))
        self.power.add(tirx.Select(down, i64(0) - exponent.get(), exponent.get()))


def _scaled(mantissa: Cell, power: Any) -> Any:
    """mantissa * 10**power, both exact, |power| <= 22."""
    ten, factor, left = f64(10.0), Cell("float64", f64(1.0)), Cell("int64", i64(0))
    left.set(tirx.max(power, i64(0) - power))
    with T.While(left.get() > 0):
        factor.set(factor.get() * ten)
        left.add(-1)
    number = T.Bind(tirx.Cast("float64", T.reinterpret("int64", mantissa.get())))
    scaled = T.Bind(factor.get())
    return T.Bind(tirx.Select(power < 0, tirx.Div(number, scaled), number * scaled))


def _by_libc(text: Any, start: Any, stop: Any, scratch: Scratch) -> Any:
    bottom = T.Bind(scratch.top)
    behind = scratch.append(bottom, text, start, T.Bind(stop - start))
    T.buffer_store(scratch.bytes, tirx.const(0, "uint8"), [behind])
    end = T.reinterpret("handle", u64(0))
    return T.Bind(T.call_extern("float64", "strtod", T.address_of(scratch.bytes[bottom]), end))


def _words(text: Any, piece: tuple[Any, Any], value: Cell, valid: Cell) -> None:
    """nan, inf, infinity."""
    start, stop = piece
    for word, bits in (("nan", _NAN), ("inf", _INFINITY), ("infinity", _INFINITY)):
        same = stop - start == i64(len(word))
        for k, character in enumerate(word):
            lower = text[start + k] | tirx.const(0x20, "uint8")
            same = tirx.And(same, lower == _char(character))
        with T.If(same), T.Then():
            value.set(T.reinterpret("float64", u64(bits)))
            valid.set(1)


def _char(character: str) -> Any:
    return tirx.const(ord(character), "uint8")
