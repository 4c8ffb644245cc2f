"""A request's values in one place, side by side, as `marshal` writes them: what is read of Python.

The bytes tell the type of every value, and compiled code reads them without Python's lock. They
come from compiled code too (`rtcompile/codegen/entry/value_bytes.py`), which knows numpy's arrays
besides. Where that cannot be, or meets a value that it does not know, they come from `marshal`. The
format of its version 2 is Python's own business, so both are tried when an artifact is loaded.
"""

from __future__ import annotations

import marshal
from typing import Any

import numpy as np

from rtcompile.runtime.abi.value_bytes import ValueBuffer
from rtcompile.runtime.memory.arrays import aligned_empty
from rtcompile.runtime.memory.input_table import address
from rtcompile.runtime.memory.struct_memory import allocate
from rtcompile.runtime.process.python_objects import arrays_are_known, python_objects

__all__ = ["FORMAT_IS_KNOWN", "PADDING", "SPARE", "ValueBytes", "ValueWriter"]

_VERSION = 2
_SAMPLE = (None, True, False, -3, 1 << 40, -1.5, "\u00fc", ["a", [("b",)]], -(1 << 62))
_WRITTEN = (
    b"(\t\0\0\0NTFi\xfd\xff\xff\xffl\x03\0\0\0\0\0\0\0\0\x04g\0\0\0\0\0\0\xf8\xbf"
    b"u\x02\0\0\0\xc3\xbc[\x02\0\0\0u\x01\0\0\0a[\x01\0\0\0(\x01\0\0\0u\x01\0\0\0b"
    b"l\xfb\xff\xff\xff\0\0\0\0\0\0\0\0\x04\0"
)
FORMAT_IS_KNOWN = marshal.dumps(_SAMPLE, _VERSION) == _WRITTEN

PADDING = 128  # what is read behind the last value
_HEAD = 8  # at most what compiled code writes more than marshal before the values of an array
SPARE = 64  # more than what compiled code needs behind the last value, to write all of them


class ValueBytes:
    """Room for `capacity` bytes. They lie at `pointer`; `words`: of ValueBuffer, at `address`."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.array = aligned_empty(capacity + PADDING, "uint8")
        self.pointer = address(self.array)
        buffer = allocate(
            ValueBuffer,
            given={
                ValueBuffer.PYTHON: python_objects() or 0,
                ValueBuffer.BEGIN: self.pointer,
                ValueBuffer.END: self.pointer + capacity,
            },
        )
        self.words, self.address = buffer.words, buffer.address
        self._data = self.array.data

    def put(self, written: bytes) -> None:
        """Enter bytes, `capacity` of them at most."""
        self._data[: len(written)] = written


class ValueWriter:
    """Writes values. `function`: the compiled one, which keeps Python's lock."""

    def __init__(self, function: Any) -> None:
        function.release_gil = False
        self._function = function
        self._is_used = python_objects() is not None and self._works()
        # The types of a column of many rows whose values can be read.
        self.of_rows: tuple[type, ...] = (list, tuple)
        if self._is_used and arrays_are_known():
            self.of_rows += (np.ndarray,)

    def _works(self) -> bool:
        trial = ValueBytes(1024)
        return trial.array[: self._compiled(_SAMPLE, trial)].tobytes() == _WRITTEN

    def write(self, values: Any, room: ValueBytes) -> ValueBytes | None:
        """Write into `room`, or where that is too small, into a larger one; which it returns.

        None where values are of types that cannot be written.
        """
        if self._is_used and self._compiled(values, room):
            return room
        written = _marshalled(values)
        if written is None:
            return None
        heads = _HEAD * len(values) if isinstance(values, tuple) else 0
        needed = len(written) + SPARE + heads
        if needed > room.capacity:
            room = ValueBytes(needed + needed // 4)
        room.put(written)
        return room

    def _compiled(self, values: object, room: ValueBytes) -> int:
        """How many bytes compiled code wrote; 0 where it could not."""
        self._function(id(values), room.address)
        return room.words[ValueBuffer.WRITTEN]


def _marshalled(values: Any) -> bytes | None:
    """As marshal writes them, arrays as bytes. None where it cannot."""
    try:
        return marshal.dumps(values, _VERSION)
    except ValueError:
        pass
    if not isinstance(values, tuple) or not any(type(one) is np.ndarray for one in values):
        return None
    # Of those whose values do not lie side by side it takes none.
    whole = [value.tobytes() if type(value) is np.ndarray else value for value in values]
    try:
        return marshal.dumps(tuple(whole), _VERSION)
    except ValueError:
        return None
