"""The string hashes in TIR. `rtcompile/features/hashing.py` is their definition.

    murmur:  state = seed ^ n * M
             for each whole word w:  state = (state ^ mix(w * M) * M) * M
             if there is a tail t:   state = (state ^ t) * M
             mix(mix(state) * M)
    farmhash: one of four forms by length (up to 16, 32, 64, more bytes)

where mix(v) = v ^ v >> 47. Whole words are read unaligned; the text is padded, so that the last
one may reach over its end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit.tir import (
    Cell,
    add,
    i64,
    load_word,
    low_bytes,
    multiply,
    u64,
)

__all__ = ["STRING_HASHES"]

_MURMUR = 0xC6A4A7935BD1E995
_MURMUR_SEED = 0xC70F6907
_K0 = 0xC3A5C85C97CB3127
_K1 = 0xB492B66FBE98F273
_K2 = 0x9AE16A3B2F90404F


def _mix(value: Any) -> Any:
    return value ^ (value >> u64(47))


def _bind(value: Any) -> Any:
    return T.Bind(value)


def murmur(text: Any, begin: Any, size: Any) -> Any:
    """Emit the hash of text[begin : begin + size]; the result is a uint64 expression."""
    factor = u64(_MURMUR)
    length = multiply(tirx.Cast("uint64", size), factor)
    state = Cell("uint64", u64(_MURMUR_SEED) ^ length)
    words = _bind(size >> i64(3))
    with T.serial(words) as k:
        word = _bind(_mix(_bind(multiply(load_word(text, begin + k * 8), factor))))
        state.set(multiply(state.get() ^ multiply(word, factor), factor))
    tail = _bind(size & i64(7))
    with T.If(tail > 0), T.Then():
        word = _bind(load_word(text, begin + words * 8) & low_bytes(tail))
        state.set(multiply(state.get() ^ word, factor))
    last = _bind(multiply(_mix(state.get()), factor))
    return _bind(_mix(last))


def _rotate(value: Any, by: int) -> Any:
    value = _bind(value)
    return _bind((value >> u64(by)) | (value << u64(64 - by)))


def _sum(*terms: Any) -> Any:
    total = terms[0]
    for term in terms[1:]:
        total = add(total, term)
    return _bind(total)


def _product(a: Any, b: Any) -> Any:
    return _bind(multiply(a, b))


def _combine(u: Any, v: Any, factor: Any) -> Any:
    v = _bind(v)
    a = _bind(_mix(_product(u ^ v, factor)))
    b = _bind(_mix(_product(v ^ a, factor)))
    return _product(b, factor)


class _Farm:
    """Farmhash's Fingerprint64 of one text."""

    def __init__(self, text: Any, begin: Any, size: Any) -> None:
        self._text, self._begin, self._size = text, begin, size
        self._length = tirx.Cast("uint64", size)
        self.result = Cell("uint64", u64(_K2))

    def _word(self, at: Any) -> Any:
        return _bind(load_word(self._text, self._begin + at))

    def _half(self, at: Any) -> Any:
        return _bind(load_word(self._text, self._begin + at) & u64(0xFFFFFFFF))

    def _byte(self, at: Any) -> Any:
        return tirx.Cast("uint64", self._text[self._begin + at])

    def _factor(self) -> Any:
        return _sum(u64(_K2), self._length << u64(1))

    def emit(self) -> Any:
        """The choice by length, and the result."""
        self._choose([(16, self._to_16), (32, self._to_32), (64, self._to_64)])
        return _bind(self.result.get())

    def _choose(self, forms: list[tuple[int, Callable[[], None]]]) -> None:
        if not forms:
            self._long()
            return
        (most, form), *rest = forms
        with T.If(self._size <= i64(most)):
            with T.Then():
                form()
            with T.Else():
                self._choose(rest)

    def _to_16(self) -> None:
        n = self._size
        with T.If(n >= i64(8)):
            with T.Then():
                factor = self._factor()
                a, b = _sum(self._word(0), u64(_K2)), self._word(n - 8)
                c = _sum(_product(_rotate(b, 37), factor), a)
                d = _product(_sum(_rotate(a, 25), b), factor)
                self.result.set(_combine(c, d, factor))
            with T.Else(), T.If(n >= i64(4)):
                with T.Then():
                    first, last = self._half(0), self._half(n - 4)
                    head = _sum(self._length, first << u64(3))
                    self.result.set(_combine(head, last, self._factor()))
                with T.Else(), T.If(n > i64(0)), T.Then():
                    y = _sum(self._byte(0), self._byte(n >> i64(1)) << u64(8))
                    z = _sum(self._length, self._byte(n - 1) << u64(2))
                    mixed = _bind(_mix(_bind(_product(y, u64(_K2)) ^ _product(z, u64(_K0)))))
                    self.result.set(_product(mixed, u64(_K2)))

    def _to_32(self) -> None:
        n, factor = self._size, self._factor()
        a, b = _product(self._word(0), u64(_K1)), self._word(8)
        c, d = _product(self._word(n - 8), factor), _product(self._word(n - 16), u64(_K2))
        left = _sum(_rotate(_sum(a, b), 43), _rotate(c, 30), d)
        right = _sum(a, _rotate(_sum(b, u64(_K2)), 18), c)
        self.result.set(_combine(left, right, factor))

    def _to_64(self) -> None:
        n, factor = self._size, self._factor()
        a, b = _product(self._word(0), u64(_K2)), self._word(8)
        c, d = _product(self._word(n - 8), factor), _product(self._word(n - 16), u64(_K2))
        y = _sum(_rotate(_sum(a, b), 43), _rotate(c, 30), d)
        z = _combine(y, _sum(a, _rotate(_sum(b, u64(_K2)), 18), c), factor)
        e, f = _product(self._word(16), factor), self._word(24)
        g = _product(_sum(y, self._word(n - 32)), factor)
        h = _product(_sum(z, self._word(n - 24)), factor)
        left = _sum(_rotate(_sum(e, f), 43), _rotate(g, 30), h)
        right = _sum(e, _rotate(_sum(f, a), 18), g)
        self.result.set(_combine(left, right, factor))

    def _weak(self, at: Any, a: Any, b: Any) -> tuple[Any, Any]:
        """Two sums over the 32 bytes at `at`, seeded with a and b."""
        w, x, y, z = (self._word(at + 8 * k) for k in range(4))
        a = _sum(a, w)
        b = _rotate(_sum(b, a, z), 21)
        total = _sum(a, x, y)
        return _sum(total, z), _sum(b, _rotate(total, 44), a)

    def _long(self) -> None:
        seed, y0 = 81, (81 * _K1 + 113) & ((1 << 64) - 1)
        x = Cell("uint64", _sum(u64(seed * _K2), self._word(0)))
        y, z = Cell("uint64", u64(y0)), Cell("uint64")
        z.set(_product(_mix(u64(y0 * _K2 + 113)), u64(_K2)))
        v = (Cell("uint64", u64(0)), Cell("uint64", u64(0)))
        w = (Cell("uint64", u64(0)), Cell("uint64", u64(0)))
        state = (x, y, z, v, w)
        with T.serial((self._size - 1) >> i64(6)) as block:
            self._round(block * 64, state, (u64(_K1), u64(1)))
        w[0].set(_sum(w[0].get(), tirx.Cast("uint64", (self._size - 1) & i64(63))))
        v[0].set(_sum(v[0].get(), w[0].get()))
        w[0].set(_sum(w[0].get(), v[0].get()))
        factor = _sum(u64(_K1), (z.get() & u64(0xFF)) << u64(1))
        self._round(self._size - 64, state, (factor, u64(9)))
        mixed = _product(_mix(y.get()), u64(_K0))
        left = _sum(_combine(v[0].get(), w[0].get(), factor), mixed, z.get())
        right = _sum(_combine(v[1].get(), w[1].get(), factor), x.get())
        self.result.set(_combine(left, right, factor))

    def _round(self, at: Any, state: Any, factors: tuple[Any, Any]) -> None:
        """One block of 64 bytes; the last one has another factor, and 9. x and z change places."""
        x, y, z, v, w = state
        factor, nine = factors
        turned = _rotate(_sum(x.get(), y.get(), v[0].get(), self._word(at + 8)), 37)
        new_x = _bind(_product(turned, factor) ^ _product(w[1].get(), nine))
        turned = _rotate(_sum(y.get(), v[1].get(), self._word(at + 48)), 42)
        product = _product(turned, factor)
        new_y = _sum(product, _product(v[0].get(), nine), self._word(at + 40))
        new_z = _product(_rotate(_sum(z.get(), w[0].get()), 33), factor)
        first = self._weak(at, _product(v[1].get(), factor), _sum(new_x, w[0].get()))
        seeds = _sum(new_z, w[1].get()), _sum(new_y, self._word(at + 16))
        second = self._weak(at + 32, *seeds)
        for cell, value in zip((*v, *w), (*first, *second), strict=True):
            cell.set(value)
        x.set(new_z)
        z.set(new_x)
        y.set(new_y)


def farmhash(text: Any, begin: Any, size: Any) -> Any:
    """Emit the fingerprint of text[begin : begin + size]; the result is a uint64 expression."""
    return _Farm(text, begin, size).emit()


STRING_HASHES: dict[str, Callable[[Any, Any, Any], Any]] = {"murmur": murmur, "farmhash": farmhash}
