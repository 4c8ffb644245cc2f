"""Python values in the bytes that `marshal` writes of them, in its version 2.

    N  T  F               None, True, False
    i  int32              an integer
    l  int32 n, |n| int16 a larger one: digits of 15 bits, the lowest first; n has the sign
    g  float64            a float
    u  int32 n, n bytes   a string, as UTF-8
    [ or (  int32 n       a list or tuple, n values follow

Other types are passed over only: bytes too, since numpy's values look like them.
"""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.features.tir import Cell, f64, i64, load_word

__all__ = ["HEAD_BYTES", "Leaf", "Marshalled"]

HEAD_BYTES = 5  # of a tag and an int32, as a text, a list or a tuple begins

_DEPTH = 64  # of what is passed over
_IN_DICT = -1  # a dict says where it ends, not how many values it has
_DIGIT_BITS, _MOST_DIGITS = 15, 4


class Leaf:
    """What a single value is."""

    OTHER = 0
    NONE = 1
    TEXT = 2
    INTEGER = 3
    REAL = 4


class Marshalled:
    """Reads values one by one. `at`: where the next begins.

    Of the value that was read last: `form` (see Leaf), and by it `begin` and `size`, `integer` or
    `real`.
    """

    def __init__(self, data: Any, at: Any) -> None:
        self.data = data
        self.at = Cell("int64", at)
        self.form = Cell("int64", i64(Leaf.OTHER))
        self.begin, self.size = Cell("int64", i64(0)), Cell("int64", i64(0))
        self.integer, self.real = Cell("int64", i64(0)), Cell("float64", f64(0.0))
        self._pending = T.alloc_buffer((_DEPTH,), "int64")

    def tag(self) -> Any:
        """The type of the next value."""
        return T.Bind(tirx.Cast("int64", self.data[self.at.get()]))

    def count(self) -> Any:
        """The int32 behind the next value's type."""
        lanes = tirx.BufferLoad(self.data, [tirx.Ramp(self.at.get() + 1, i64(1), 4)])
        return T.Bind(tirx.Cast("int64", T.reinterpret("int32", lanes)))

    def is_list(self, tag: Any) -> Any:
        """Whether a value of this type is a list or tuple."""
        return T.Bind(tirx.Or(tag == _char("["), tag == _char("(")))

    def is_truth(self, tag: Any) -> Any:
        """Whether a value of this type is True or False."""
        return T.Bind(tirx.Or(tag == _char("T"), tag == _char("F")))

    def read(self) -> None:
        """Emit the reading of a single value; one of another type is not passed over."""
        tag = self.tag()
        self.form.set(i64(Leaf.OTHER))
        with T.If(tag == _char("u")):
            with T.Then():
                self.form.set(i64(Leaf.TEXT))
                self.begin.set(self.at.get() + 5)
                self.size.set(self.count())
                self.at.add(self.size.get() + 5)
            with T.Else(), T.If(tag == _char("g")):
                with T.Then():
                    self.form.set(i64(Leaf.REAL))
                    word = load_word(self.data, self.at.get() + 1)
                    self.real.set(T.reinterpret("float64", word))
                    self.at.add(i64(9))
                with T.Else(), T.If(tag == _char("i")):
                    with T.Then():
                        self._set_integer(self.count(), i64(5))
                    with T.Else():
                        self._read_rare(tag)

    def _read_rare(self, tag: Any) -> None:
        with T.If(tag == _char("N")), T.Then():
            self.form.set(i64(Leaf.NONE))
            self.at.add(i64(1))
        for letter, truth in (("T", 1), ("F", 0)):
            with T.If(tag == _char(letter)), T.Then():
                self._set_integer(i64(truth), i64(1))
        with T.If(tag == _char("l")), T.Then():
            signed = self.count()
            digits = T.Bind(tirx.max(signed, i64(0) - signed))
            with T.If(digits <= _MOST_DIGITS), T.Then():
                first = T.Bind(self.at.get() + 5)
                value = Cell("int64", i64(0))
                with T.serial(digits) as k:
                    low = tirx.Cast("int64", self.data[first + 2 * k])
                    high = tirx.Cast("int64", self.data[first + 2 * k + 1])
                    digit = T.Bind(low + high * 256)
                    value.set(value.get() | (digit << (k * _DIGIT_BITS)))
                found = T.Bind(value.get())
                minus = T.Bind(i64(0) - found)
                self._set_integer(tirx.Select(signed < 0, minus, found), 2 * digits + 5)

    def _set_integer(self, value: Any, size: Any) -> None:
        self.form.set(i64(Leaf.INTEGER))
        self.integer.set(value)
        self.at.add(size)

    def skip(self) -> Any:
        """Emit the passing over of a value of any depth; returns whether it could be."""
        depth, done = Cell("int64", i64(0)), Cell("int64", i64(1))
        T.buffer_store(self._pending, i64(1), [0])
        with T.While(depth.get() >= 0):
            pending = T.Bind(self._pending[depth.get()])
            tag = self.tag()
            ends = T.Bind(tirx.And(pending == _IN_DICT, tag == _char("0")))
            with T.If(tirx.Or(pending == 0, ends)):
                with T.Then():
                    self.at.add(tirx.Cast("int64", ends))
                    depth.add(i64(-1))
                with T.Else():
                    with T.If(pending > 0), T.Then():
                        T.buffer_store(self._pending, pending - 1, [depth.get()])
                    self._step(tag, depth, done)
        return T.Bind(done.get() != 0)

    def _step(self, tag: Any, depth: Cell, done: Cell) -> None:
        """Over one value, or into one that has others."""
        size, inner = Cell("int64", i64(0)), Cell("int64", i64(-2))
        for letters, fixed in (("NTF.S{", 1), ("i", 5), ("g", 9), ("y", 17), ("[(<>", 5)):
            for letter in letters:
                with T.If(tag == _char(letter)), T.Then():
                    size.set(i64(fixed))
        given = self.count()
        with T.If(tirx.Or(tag == _char("u"), tag == _char("s"))), T.Then():
            size.set(given + 5)
        with T.If(tag == _char("l")), T.Then():
            size.set(2 * tirx.max(given, i64(0) - given) + 5)
        for letter in "[(<>":
            with T.If(tag == _char(letter)), T.Then():
                inner.set(given)
        with T.If(tag == _char("{")), T.Then():
            inner.set(i64(_IN_DICT))
        self.at.add(size.get())
        deeper = T.Bind(inner.get() >= _IN_DICT)
        too_deep = tirx.And(deeper, depth.get() == _DEPTH - 1)
        with T.If(tirx.Or(size.get() == 0, too_deep)):
            with T.Then():
                done.set(i64(0))
                depth.set(i64(-1))
            with T.Else(), T.If(deeper), T.Then():
                depth.add(i64(1))
                T.buffer_store(self._pending, inner.get(), [depth.get()])


def _char(character: str) -> Any:
    return i64(ord(character))
