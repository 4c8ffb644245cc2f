"""Python values in the bytes that `marshal` writes of them, in its version 2.

    N  T  F               None, True, False
    i  int32              an integer
    l  int32 n, |n| int16 a larger one: digits of 15 bits, the lowest first; n has the sign
    g  float64            a float
    u  int32 n, n bytes   a string, as UTF-8
    [ or (  int32 n       a list or tuple, n values follow

Other types are passed over only: bytes too, since numpy's values look like them. Marshal knows no
arrays; of these compiled code (`write_array.py`) writes

    A  int32 n, a letter, int32 w, n * w bytes

where the letter is the dtype's kind, f, i, u, b or S, and w bytes have a value.
"""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit.tir import (
    Cell,
    f64,
    i64,
    load_word,
    u64,
)

__all__ = ["ARRAY_HEAD_BYTES", "HEAD_BYTES", "Leaf", "Marshalled"]

HEAD_BYTES = 5  # of a tag and an int32, as a text, a list or a tuple begins
ARRAY_HEAD_BYTES = 10

_DEPTH = 64  # of what is passed over
_IN_DICT = -1  # a dict says where it ends, not how many values it has
_DIGIT_BITS, _MOST_DIGITS = 15, 4
_LOW = (1 << 32) - 1


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
    `real`. Between `enter_array` and `leave_array` the values are those of an array, whose `kind`
    and `width` are not 0.
    """

    def __init__(self, data: Any, at: Any, with_arrays: bool = False) -> None:
        self.data, self._with_arrays = data, with_arrays
        self.at = Cell("int64", at)
        self.form = Cell("int64", i64(Leaf.OTHER))
        self.begin, self.size = Cell("int64", i64(0)), Cell("int64", i64(0))
        self.integer, self.real = Cell("int64", i64(0)), Cell("float64", f64(0.0))
        self._pending = T.alloc_buffer((_DEPTH,), "int64")
        self.kind, self.width = Cell("int64", i64(0)), Cell("int64", i64(0))  # of an array

    def tag(self) -> Any:
        """The type of the next value."""
        return T.Bind(tirx.Cast("int64", self.data[self.at.get()]))

    def count(self) -> Any:
        """The int32 behind the next value's type."""
        lanes = tirx.BufferLoad(self.data, [tirx.Ramp(self.at.get() + 1, i64(1), 4)])
        return T.Bind(tirx.Cast("int64", T.reinterpret("int32", lanes)))

    def is_list(self, tag: Any) -> Any:
        """Whether a value of this type is a list or tuple; none of an array is."""
        listed = tirx.Or(tag == _char("["), tag == _char("("))
        return T.Bind(tirx.And(self.kind.get() == 0, listed))

    def is_array(self, tag: Any) -> Any:
        """Whether a value of this type is an array."""
        return T.Bind(tag == _char("A"))

    def has_rows(self, rows: Any) -> Any:
        """Whether the next value is a list, tuple or array of so many."""
        tag, count = self.tag(), self.count()
        return T.Bind(tirx.And(tirx.Or(self.is_list(tag), self.is_array(tag)), count == rows))

    def enter_array(self) -> None:
        """Emit that the values of the array that is next are read from here on."""
        first = T.Bind(self.at.get())
        self.kind.set(tirx.Cast("int64", self.data[first + HEAD_BYTES]))
        self.width.set(self._array_width())
        self.at.set(first + ARRAY_HEAD_BYTES)

    def leave_array(self) -> None:
        """Emit that it is over."""
        self.kind.set(i64(0))

    def _array_width(self) -> Any:
        lanes = tirx.BufferLoad(self.data, [tirx.Ramp(self.at.get() + 6, i64(1), 4)])
        return T.Bind(tirx.Cast("int64", T.reinterpret("int32", lanes)))

    def is_truth(self, tag: Any) -> Any:
        """Whether a value of this type is True or False."""
        return T.Bind(tirx.Or(tag == _char("T"), tag == _char("F")))

    def read(self) -> None:
        """Emit the reading of a single value; one of another type is not passed over."""
        if not self._with_arrays:
            self._read_tagged()
            return
        with T.If(self.kind.get() != 0):
            with T.Then():
                self._read_of_array()
            with T.Else():
                self._read_tagged()

    def _read_of_array(self) -> None:
        at, width = T.Bind(self.at.get()), T.Bind(self.width.get())
        kind = T.Bind(self.kind.get())
        self.at.add(width)
        with T.If(kind == _char("S")):
            with T.Then():
                self.form.set(i64(Leaf.TEXT))
                self.begin.set(at)
                self.size.set(width)
                with T.While(
                    tirx.And(self.size.get() > 0, self.data[at + self.size.get() - 1] == 0)
                ):
                    self.size.add(i64(-1))
            with T.Else(), T.If(kind == _char("f")):
                with T.Then():
                    self.form.set(i64(Leaf.REAL))
                    self.real.set(self._real(at, width))
                with T.Else():
                    self._integer(at, width, kind)

    def _real(self, at: Any, width: Any) -> Any:
        """Of four bytes or of eight."""
        word = T.Bind(load_word(self.data, at))
        short = T.reinterpret("float32", tirx.Cast("uint32", word & u64(_LOW)))
        return tirx.Select(width == 4, tirx.Cast("float64", short), T.reinterpret("float64", word))

    def _integer(self, at: Any, width: Any, kind: Any) -> None:
        """Of one byte to eight: shifted to the left end of a word, and back."""
        word, rest = T.Bind(load_word(self.data, at)), T.Bind((8 - width) * 8)
        shift = tirx.Cast("uint64", rest)
        left = T.Bind(word << shift)
        signed = T.Bind(T.reinterpret("int64", left) >> rest)
        unsigned = T.Bind(T.reinterpret("int64", left >> shift))
        is_signed = T.Bind(kind == _char("i"))
        truth = tirx.Cast("int64", unsigned != 0)  # of any byte but 0
        other = tirx.Select(kind == _char("b"), truth, unsigned)
        self.integer.set(tirx.Select(is_signed, signed, other))
        known = tirx.Or(is_signed, unsigned >= 0)
        self.form.set(tirx.Select(known, i64(Leaf.INTEGER), i64(Leaf.OTHER)))

    def _read_tagged(self) -> None:
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
        with T.If(self.is_array(tag)), T.Then():
            size.set(given * self._array_width() + ARRAY_HEAD_BYTES)
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
