"""Write a numpy array of one axis among Python's values, as `features/marshalled.py` describes it.

    kind, order, width = of the dtype
    if there is one axis of native numbers, S or U, and room:
        bytes += "A" + int32 count + kind + int32 width
        bytes += the values                     # by one copy where they lie side by side
    of U:
        kind, width = "S", width / 4
        bytes += the lowest byte of each character, 16 a step
        where one is not ASCII: it could not be written

The values are copied, some bytes a nanosecond, so that nothing of the array is needed once Python's
lock is given up: its owner may change it or let it go.
"""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit.linkage import call_with_barriers
from rtcompile.codegen.emit.pointers import values_at
from rtcompile.codegen.emit.structs import field_at, struct_at
from rtcompile.codegen.emit.tir import Cell, i64
from rtcompile.codegen.features.wire_format import ARRAY_HEAD_BYTES
from rtcompile.runtime.abi.python_objects import INT32, ORDER_SHIFT, ArrayObject, DtypeObject

__all__ = ["array_length", "write_array", "write_array_function"]

_WRITE = "write_array"

_LANES = 16
_ASCII = 128
_COPIED = (4, 8)  # widths that a single load and a store copy


def write_array(value: Any, size_at: Any, begin: Any, room: Any, at: Any) -> None:
    """Emit the writing of an array.

    `value`: its address. `size_at`: bytes behind a dtype's address to the width of a value. `at`: a
    buffer of one int64, which counts from the address `begin`; it is below 0 afterwards where the
    array could not be written. `room`: the place that the values have to end at.
    """
    call_with_barriers(_WRITE, [value, size_at, begin, room, T.address_of(at[0])])


def write_array_function() -> dict[str, Any]:
    """The internal PrimFunc behind `write_array`, by its name."""
    with IRBuilder() as builder, T.prim_func(private=True, s_tir=True):
        T.func_name(_WRITE)
        T.func_attr({"tirx.is_scheduled": True})
        names = ("value", "size_at", "begin", "room")
        value, size_at, begin, room = (T.arg(name, T.int64()) for name in names)
        place = T.decl_buffer((1,), "int64", data=T.arg("at", T.handle("int64")))
        array, at = _Array(value, size_at), T.Bind(place[0])
        T.buffer_store(place, i64(-1), [0])
        # Each of them first: their product may be beyond int64.
        each_fits = tirx.And(array.count <= room, array.width <= room)
        count = T.Bind(tirx.Select(tirx.And(array.is_known, each_fits), array.count, i64(-1)))
        with T.If(tirx.And(count >= 0, count * array.width <= room - at)), T.Then():
            array.head(values_at(begin, "uint8"), at)
            first = T.Bind(at + ARRAY_HEAD_BYTES)
            done = array.values(T.Bind(begin + first))
            end = T.Bind(first + count * array.width)
            T.buffer_store(place, tirx.Select(done != 0, end, i64(-1)), [0])
    return {_WRITE: builder.get()}


def array_length(value: Any) -> Any:
    """Emit how many values the array at an address has; -1 if it has not one axis."""
    array, count = struct_at(ArrayObject, value), Cell("int64", i64(-1))
    with T.If((array[ArrayObject.AXES] & INT32) == 1), T.Then():  # of no axis there are no lengths
        count.set(array.values(ArrayObject.LENGTHS, "int64")[0])
    return T.Bind(count.get())


class _Array:
    """Its parts, bound; `width`: bytes of a value as it is written."""

    def __init__(self, value: Any, size_at: Any) -> None:
        array = struct_at(ArrayObject, value)
        dtype = T.Bind(array[ArrayObject.DTYPE])
        told = T.Bind(field_at(dtype, DtypeObject.KIND))
        self._kind = T.Bind(told & 0xFF)
        order = T.Bind((told >> ORDER_SHIFT) & 0xFF)
        own = values_at(dtype + size_at, "int32")
        self._own_width = T.Bind(tirx.Cast("int64", own[0]))
        self._is_wide = T.Bind(self._kind == ord("U"))
        self.width = T.Bind(tirx.Select(self._is_wide, self._own_width >> 2, self._own_width))
        self.count = array_length(value)
        native = tirx.Or(order == ord("="), order == ord("|"))
        known = tirx.And(native, self._has_known_kind())
        self.is_known = T.Bind(tirx.And(self.count >= 0, known))
        self._data, step = T.Bind(array[ArrayObject.DATA]), Cell("int64", i64(0))
        with T.If(self.count >= 0), T.Then():
            step.set(array.values(ArrayObject.STEPS, "int64")[0])
        self._step = T.Bind(step.get())

    def _has_known_kind(self) -> Any:
        width = self._own_width
        is_text = tirx.Or(self._kind == ord("S"), self._is_wide)
        is_real = tirx.And(self._kind == ord("f"), tirx.Or(width == 4, width == 8))
        is_integer = tirx.Or(self._kind == ord("i"), self._kind == ord("u"))
        is_number = tirx.Or(tirx.Or(is_integer, self._kind == ord("b")), is_real)
        return tirx.And(width > 0, tirx.Or(is_text, is_number))

    def head(self, written: Any, at: Any) -> None:
        """Emit what stands before the values."""
        kind = tirx.Select(self._is_wide, i64(ord("S")), self._kind)
        for place, byte in ((0, i64(ord("A"))), (5, kind)):
            T.buffer_store(written, tirx.Cast("uint8", byte), [at + place])
        for place, number in ((1, self.count), (6, self.width)):
            lanes = T.reinterpret("uint8x4", tirx.Cast("int32", number))
            T.buffer_store(written, lanes, [tirx.Ramp(at + place, i64(1), 4)])

    def values(self, to: Any) -> Any:
        """Emit the copy to an address; returns whether that could be, int64."""
        done = Cell("int64", i64(1))
        side_by_side = T.Bind(self._step == self._own_width)
        with T.If(self._is_wide):
            with T.Then():
                done.set(self._narrow(to, side_by_side))
            with T.Else(), T.If(side_by_side):
                with T.Then():
                    size = self.count * self.width
                    T.evaluate(T.call_extern("int64", "memcpy", to, self._data, size))
                with T.Else():
                    self._copy_each(to)
        return T.Bind(done.get())

    def _copy_each(self, to: Any) -> None:
        with T.serial(self.count) as k:
            source = T.Bind(self._data + k * self._step)
            target = T.Bind(to + k * self.width)
            at, of = values_at(target, "uint8"), values_at(source, "uint8")
            others = tirx.const(True, "bool")
            for width in _COPIED:
                others = tirx.And(others, self.width != width)
                ramp = tirx.Ramp(i64(0), i64(1), width)
                with T.If(self.width == width), T.Then():
                    T.buffer_store(at, tirx.BufferLoad(of, [ramp]), [ramp])
            with T.If(others), T.Then():
                T.evaluate(T.call_extern("int64", "memcpy", target, source, self.width))

    def _narrow(self, to: Any, side_by_side: Any) -> Any:
        """Characters of four bytes as one; returns whether all are ASCII, int64."""
        runs = T.Bind(tirx.Select(side_by_side, i64(1), self.count))
        size = T.Bind(tirx.Select(side_by_side, self.count * self.width, self.width))
        ramp = tirx.Ramp(i64(0), i64(1), _LANES)
        seen = T.alloc_buffer((_LANES,), "uint32")
        T.buffer_store(seen, tirx.Broadcast(tirx.const(0, "uint32"), _LANES), [ramp])
        with T.serial(runs) as run:
            source = values_at(T.Bind(self._data + run * self._step), "uint32")
            target = values_at(T.Bind(to + run * size), "uint8")
            with T.serial(size >> 4) as k:
                places = tirx.Ramp(k * _LANES, i64(1), _LANES)
                lanes = T.Bind(tirx.BufferLoad(source, [places]))
                T.buffer_store(target, tirx.Cast(f"uint8x{_LANES}", lanes), [places])
                T.buffer_store(seen, tirx.BufferLoad(seen, [ramp]) | lanes, [ramp])
            with T.serial(size & (_LANES - 1)) as k:
                place = T.Bind((size & ~(_LANES - 1)) + k)
                letter = T.Bind(source[place])
                T.buffer_store(target, tirx.Cast("uint8", letter), [place])
                T.buffer_store(seen, seen[0] | letter, [0])
        found = Cell("uint32", tirx.const(0, "uint32"))
        with T.serial(_LANES) as k:
            found.set(found.get() | seen[k])
        return T.Bind(tirx.Cast("int64", found.get() < _ASCII))
