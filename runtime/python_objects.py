"""Where Python keeps what compiled code needs to read Python's values by itself.

`rtcompile/codegen/write_objects.py` reads values through functions of Python's stable C interface,
whose addresses it is given, so that a library needs no symbol of Python's. Of the layout of
objects it relies on one thing, an object's type in its second word; where that is not so, or there
is no global lock, `python_objects` gives None, and `marshal` does the work.
"""

from __future__ import annotations

import ctypes
import functools
import sys

from runtime.arrays import aligned_empty
from runtime.input_table import address

__all__ = ["Known", "python_objects"]


class Known:
    """Places of addresses: of the single objects, of types, and of functions."""

    NONE, TRUE, FALSE = 0, 1, 2
    STR, INT, FLOAT, LIST, TUPLE, DICT = 3, 4, 5, 6, 7, 8
    AS_UTF8, AS_INTEGER, AS_FLOAT = 9, 10, 11
    LIST_SIZE, LIST_ITEM, TUPLE_SIZE, TUPLE_ITEM, DICT_SIZE, DICT_ITEM = 12, 13, 14, 15, 16, 17
    CLEAR = 18  # of the error that is pending
    SAVE, RESTORE = 19, 20  # give up the lock, take it again
    ALL = 21


_OBJECTS: tuple[object, ...] = (None, True, False, str, int, float, list, tuple, dict)
_FUNCTIONS = (
    *("PyUnicode_AsUTF8AndSize", "PyLong_AsLongLongAndOverflow", "PyFloat_AsDouble"),
    *("PyList_Size", "PyList_GetItem", "PyTuple_Size", "PyTuple_GetItem"),
    *("PyDict_Size", "PyDict_GetItem", "PyErr_Clear", "PyEval_SaveThread", "PyEval_RestoreThread"),
)
_HEAD = 16  # bytes of an object: the count of references, and the type


@functools.cache
def python_objects() -> int | None:
    """Where the addresses of Known lie, int64; None where compiled code may not read objects."""
    if sys.implementation.name != "cpython" or "t" in sys.abiflags or object.__basicsize__ != _HEAD:
        return None
    if any(ctypes.c_void_p.from_address(id(o) + 8).value != id(type(o)) for o in _OBJECTS):
        return None
    functions = [getattr(ctypes.pythonapi, name) for name in _FUNCTIONS]
    _kept[:] = [
        *map(id, _OBJECTS),
        *(ctypes.cast(function, ctypes.c_void_p).value or 0 for function in functions),
    ]
    return address(_kept)


_kept = aligned_empty(len(_OBJECTS) + len(_FUNCTIONS), "int64")
