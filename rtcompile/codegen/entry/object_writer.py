"""The walk over Python's values that `value_bytes.py` emits, and what it writes of each type.

A list's texts and numbers are written in a loop of their own, up to the first other value; what is
left of it waits on a stack of a few words, since compiled code does not call itself.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit import llvm_helpers as wrapping
from rtcompile.codegen.emit.pointers import prefetch, values_at
from rtcompile.codegen.emit.structs import Struct, field_at, struct_at
from rtcompile.codegen.emit.tir import (
    Cell,
    i64,
    subtract,
    u64,
)
from rtcompile.codegen.entry.python_objects import CALL_INTO, call_python
from rtcompile.codegen.entry.write_array import array_length, write_array
from rtcompile.codegen.features.wire_format import HEAD_BYTES
from rtcompile.runtime.abi.layout import Field
from rtcompile.runtime.abi.python_objects import (
    INT32,
    FloatObject,
    IntObject,
    ListObject,
    Object,
    PythonApi,
    StrObject,
    TupleObject,
)
from rtcompile.runtime.abi.serve_features import FieldNames
from rtcompile.runtime.abi.value_bytes import ValueBuffer

__all__ = ["ObjectWriter"]

_DEPTH = 8  # of lists in lists; deeper ones are left to marshal
_SPARE = 32  # bytes that any value but a text fits into
_DIGIT_BITS = 15
_FETCHED = (0, 56)  # bytes of an object: its head, and the text of a short string
_FRAME = 2  # words of the stack: where the next value of a list or tuple is, how many are left
_STEP = 16  # bytes; shorter texts are copied by one load and one store
_PAGE = 4096


class ObjectWriter:
    """`buffer`: a ValueBuffer. `at`: bytes so far; below 0 once something could not be written."""

    def __init__(self, buffer: Struct) -> None:
        python = buffer.follow(ValueBuffer.PYTHON)
        self._known = {field: T.Bind(python[field]) for field in PythonApi.FIELDS}
        begin, end = T.Bind(buffer[ValueBuffer.BEGIN]), T.Bind(buffer[ValueBuffer.END])
        self._buffer, self._bytes, self._begin = buffer, values_at(begin, "uint8"), begin
        self._room = T.Bind(end - begin - _SPARE)
        self._at, self._depth = Cell("int64", i64(0)), Cell("int64", i64(0))
        self._stack = T.alloc_buffer((_FRAME * (_DEPTH + 1),), "int64")
        self._out = T.alloc_buffer((1,), "int64")  # what functions give beside their result

    def finish(self) -> None:
        """Say how many bytes were written, 0 where they could not be."""
        self._buffer[ValueBuffer.WRITTEN] = tirx.max(self._at.get(), i64(0))
        T.evaluate(T.call_extern("void", wrapping.BARRIER))

    def write(self, value: Any) -> None:
        """Emit the walk over a value and all in it."""
        current, going = Cell("int64", value), Cell("int32", 1)
        with T.While(going.get() != 0):
            self._value(T.Bind(current.get()))
            self._to_the_next(current, going)

    def write_dict(self, fields: Any, wanted: Any, names: Struct, rows: Any) -> None:
        """See `write_fields`."""
        known, count = self._known, T.Bind(names[FieldNames.COUNT])
        is_dict = self._type(fields) == known[PythonApi.DICT]
        with T.If(tirx.Or(self._room < 0, tirx.Not(is_dict))):
            with T.Then():
                self._fail()
            with T.Else():
                self._head("(", wanted)
                size = call_python(known[PythonApi.DICT_SIZE], fields)
                with T.If(size != names[FieldNames.SIZE]), T.Then():
                    self._fail()
        number = Cell("int64", i64(0))
        with T.While(tirx.And(number.get() < count, self._at.get() >= 0)):
            name = T.Bind(names.element(FieldNames.NAMES, number.get()))
            number.add(i64(1))
            value = call_python(known[PythonApi.DICT_ITEM], fields, name)
            with T.If(value == 0):
                with T.Then():
                    call_python(known[PythonApi.CLEAR])  # of keys that cannot be compared
                    self._fail()
                with T.Else():
                    with T.If(tirx.And(rows >= 0, self._count(value) != rows)), T.Then():
                        self._fail()
                    with T.If(tirx.And(self._at.get() >= 0, number.get() <= wanted)), T.Then():
                        self.write(value)

    def _count(self, value: Any) -> Any:
        """Emit how many values a list, a tuple or an array has; -1 of any other object."""
        kind, known, count = self._type(value), self._known, Cell("int64", i64(-1))
        with T.If(tirx.Or(kind == known[PythonApi.LIST], kind == known[PythonApi.TUPLE])):
            with T.Then():
                count.set(field_at(value, ListObject.COUNT))
            with T.Else(), T.If(kind == known[PythonApi.ARRAY]), T.Then():
                count.set(array_length(value))
        return T.Bind(count.get())

    def _to_the_next(self, current: Cell, going: Cell) -> None:
        """The next value, of the innermost list that has one left."""
        with T.While(
            tirx.And(self._depth.get() > 0, self._stack[_FRAME * self._depth.get() + 1] == 0)
        ):
            self._depth.add(i64(-1))
        stops = tirx.Or(self._depth.get() == 0, self._at.get() < 0)
        with T.If(stops):
            with T.Then():
                going.set(0)
            with T.Else():
                top = T.Bind(self._depth.get() * _FRAME)
                item = T.Bind(self._stack[top])
                T.buffer_store(self._stack, item + 8, [top])
                T.buffer_store(self._stack, self._stack[top + 1] - 1, [top + 1])
                current.set(values_at(item, "int64")[0])

    def _type(self, value: Any) -> Any:
        return T.Bind(field_at(value, Object.TYPE))

    def _value(self, value: Any) -> None:
        kind = self._type(value)
        self._text_or(value, kind, lambda: self._other(value, kind))

    def _text_or(self, value: Any, kind: Any, other: Callable[[], None]) -> None:
        """Emit the writing of a text, or `other`; nothing where there is no room."""
        with T.If(self._at.get() > self._room):
            with T.Then():
                self._fail()
            with T.Else(), T.If(kind == self._known[PythonApi.STR]):
                with T.Then():
                    self._text(value)
                with T.Else():
                    other()

    def _other(self, value: Any, kind: Any) -> None:
        known = self._known
        with T.If(kind == known[PythonApi.LIST]):
            with T.Then():
                self._sequence("[", value, T.Bind(field_at(value, ListObject.FIRST)))
            with T.Else(), T.If(kind == known[PythonApi.INT]):
                with T.Then():
                    self._integer(value)
                with T.Else(), T.If(kind == known[PythonApi.FLOAT]):
                    with T.Then():
                        self._real(value)
                    with T.Else(), T.If(kind == known[PythonApi.TUPLE]):
                        with T.Then():
                            self._sequence("(", value, value + TupleObject.VALUES.byte)
                        with T.Else(), T.If(kind == known[PythonApi.ARRAY]):
                            with T.Then():
                                self._array(value)
                            with T.Else():
                                self._single(value)

    def _array(self, value: Any) -> None:
        T.buffer_store(self._out, self._at.get(), [0])
        size_at = self._known[PythonApi.DTYPE_SIZE]
        write_array(value, size_at, self._begin, self._room, self._out)
        self._at.set(self._out[0])
        with T.If(self._at.get() < 0), T.Then():
            self._fail()

    def _single(self, value: Any) -> None:
        """None, True or False."""
        before = T.Bind(self._at.get())
        for place, letter in ((PythonApi.NONE, "N"), (PythonApi.TRUE, "T"), (PythonApi.FALSE, "F")):
            with T.If(value == self._known[place]), T.Then():
                self._tag(letter)
                self._at.set(before + 1)
        with T.If(self._at.get() == before), T.Then():
            self._fail()

    def _text(self, value: Any) -> None:
        text_object = struct_at(StrObject, value)
        bits = T.Bind(text_object[StrObject.BITS] & self._known[PythonApi.BITS])
        text, size = Cell("int64", i64(0)), Cell("int64", i64(0))
        with T.If(bits == self._known[PythonApi.BITS_WANTED]):
            with T.Then():
                text.set(value + self._known[PythonApi.TEXT_AT])
                size.set(text_object[StrObject.COUNT])
            with T.Else():
                text.set(self._call_into(PythonApi.AS_UTF8, value))
                size.set(self._out[0])
        self._text_of(T.Bind(text.get()), T.Bind(size.get()))

    def _text_of(self, text: Any, size: Any) -> None:
        """Emit the writing of bytes; 0 is the address of none."""
        with T.If(text == 0):
            with T.Then():
                call_python(self._known[PythonApi.CLEAR])
                self._fail()
            with T.Else(), T.If(size > self._room - self._at.get()):
                with T.Then():
                    self._fail()
                with T.Else():
                    self._head("u", size)
                    self._copy(text, size)
                    self._at.add(size)

    def _copy(self, text: Any, size: Any) -> None:
        """A short text with what is behind it, where that is of the same page."""
        short = tirx.And(size <= _STEP, (text & (_PAGE - 1)) <= _PAGE - _STEP)
        with T.If(short):
            with T.Then():
                lanes = tirx.BufferLoad(values_at(text, "uint8"), [_bytes(i64(0), _STEP)])
                T.buffer_store(self._bytes, lanes, [_bytes(self._at.get(), _STEP)])
            with T.Else():
                to = self._begin + self._at.get()
                T.evaluate(T.call_extern("int64", "memcpy", to, text, size))

    def _sequence(self, tag: str, value: Any, first: Any) -> None:
        """`first`: where the addresses of the values are."""
        with T.If(self._depth.get() == _DEPTH):
            with T.Then():
                self._fail()
            with T.Else():
                count, items = (
                    T.Bind(field_at(value, ListObject.COUNT)),
                    values_at(first, "int64"),
                )
                self._head(tag, count)
                with T.serial(count) as k:
                    item = values_at(T.Bind(items[k]), "uint8")
                    for at in _FETCHED:
                        prefetch(item, at)
                written = self._leading(items, count)
                with T.If(self._at.get() >= 0), T.Then():
                    self._depth.add(i64(1))
                    top = T.Bind(self._depth.get() * _FRAME)
                    T.buffer_store(self._stack, first + 8 * written, [top])
                    T.buffer_store(self._stack, count - written, [top + 1])

    def _leading(self, items: Any, count: Any) -> Any:
        """Write values up to the first that is no text and no number; returns how many."""
        number, going = Cell("int64", i64(0)), Cell("int32", 1)
        with T.While(tirx.And(number.get() < count, going.get() != 0)):
            value = T.Bind(items[number.get()])
            kind = self._type(value)
            number.add(i64(1))
            self._text_or(value, kind, partial(self._number_or_stop, value, kind, number, going))
            with T.If(self._at.get() < 0), T.Then():
                going.set(0)
        return T.Bind(number.get())

    def _number_or_stop(self, value: Any, kind: Any, number: Cell, going: Cell) -> None:
        with T.If(kind == self._known[PythonApi.FLOAT]):
            with T.Then():
                self._real(value)
            with T.Else(), T.If(kind == self._known[PythonApi.INT]):
                with T.Then():
                    self._integer(value)
                with T.Else():
                    number.add(i64(-1))
                    going.set(0)

    def _integer(self, value: Any) -> None:
        integer = struct_at(IntObject, value)
        size = T.Bind(integer[IntObject.SIZE])
        one, zero = (self._known[field] for field in (PythonApi.INT_ONE, PythonApi.INT_ZERO))
        with T.If(tirx.Or(size == one, size == zero)):
            with T.Then():
                digit = T.Bind(integer[IntObject.DIGIT] & INT32)  # of 0 it may be anything
                self._head("i", T.Bind(tirx.Select(size == one, digit, i64(0))))
            with T.Else():
                self._large_integer(value)

    def _large_integer(self, value: Any) -> None:
        """One of several digits, or below 0."""
        T.buffer_store(self._out, i64(0), [0])  # of which an int is written
        number = self._call_into(PythonApi.AS_INTEGER, value)
        short = T.Bind(tirx.Cast("int64", tirx.Cast("int32", number)) == number)
        with T.If(self._out[0] != 0):
            with T.Then():
                self._fail()
            with T.Else(), T.If(short):
                with T.Then():
                    self._head("i", number)
                with T.Else():
                    self._digits(number)

    def _digits(self, number: Any) -> None:
        """Of 15 bits, the lowest first; their count has the sign."""
        negative = T.Bind(number < i64(0))
        bits = T.reinterpret("uint64", number)
        rest = Cell("uint64", tirx.Select(negative, subtract(u64(0), bits), bits))
        first = T.Bind(self._at.get() + HEAD_BYTES)
        count = Cell("int64", i64(0))
        with T.While(rest.get() != u64(0)):
            digit = tirx.Cast("uint16", rest.get() & u64((1 << _DIGIT_BITS) - 1))
            self._store(T.reinterpret("uint8x2", digit), 2, first + 2 * count.get())
            rest.set(rest.get() >> u64(_DIGIT_BITS))
            count.add(i64(1))
        found = T.Bind(count.get())
        self._head("l", tirx.Select(negative, i64(0) - found, found))
        self._at.add(2 * found)

    def _real(self, value: Any) -> None:
        number = T.Bind(field_at(value, FloatObject.VALUE))
        self._tag("g")
        self._store(T.reinterpret("uint8x8", number), 8, self._at.get() + 1)
        self._at.add(i64(9))

    def _head(self, tag: str, number: Any) -> None:
        """A tag and an int32."""
        self._tag(tag)
        word = tirx.Cast("int32", number)
        self._store(T.reinterpret("uint8x4", word), 4, self._at.get() + 1)
        self._at.add(i64(HEAD_BYTES))

    def _tag(self, tag: str) -> None:
        T.buffer_store(self._bytes, tirx.const(ord(tag), "uint8"), [self._at.get()])

    def _store(self, lanes: Any, count: int, at: Any) -> None:
        T.buffer_store(self._bytes, lanes, [_bytes(at, count)])

    def _call_into(self, function: Field, value: Any) -> Any:
        """Emit a call whose second result goes to `_out`."""
        out = T.address_of(self._out[0])
        found = T.Bind(T.call_extern("int64", CALL_INTO, self._known[function], value, out))
        T.evaluate(T.call_extern("void", wrapping.BARRIER))
        return found

    def _fail(self) -> None:
        self._at.set(i64(-1))
        self._depth.set(i64(0))


def _bytes(at: Any, count: int) -> Any:
    return tirx.Ramp(at, i64(1), count)
