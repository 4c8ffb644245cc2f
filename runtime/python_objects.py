"""Where Python keeps what compiled code needs to read Python's values by itself.

`rtcompile/codegen/write_objects.py` reads values through functions of Python's stable C interface,
whose addresses it is given, so that a library needs no symbol of Python's. Of the layout of
objects it relies on this, by words of 8 bytes, which is tried when an artifact is loaded:

    any object     1: its type
    list, tuple    2: how many values; 3: the address of the first, or the first of a tuple's
    numpy array    2: the address of its values

Where that is not so, or there is no global lock, `python_objects` gives None, and `marshal` does
the work.
"""

from __future__ import annotations

import ctypes
import functools
import sys

import numpy as np

from runtime.arrays import aligned_empty
from runtime.input_table import address

__all__ = ["ARRAY_DATA", "COUNT", "FIRST", "TYPE", "Known", "python_objects"]

TYPE = 1  # of any object
COUNT, FIRST = 2, 3  # of a list or tuple
ARRAY_DATA = 2  # of a numpy array


class Known:
    """Places of addresses: of the single objects, of types, and of functions."""

    NONE, TRUE, FALSE = 0, 1, 2
    STR, INT, FLOAT, LIST, TUPLE, DICT = 3, 4, 5, 6, 7, 8
    AS_UTF8, AS_INTEGER, AS_FLOAT, DICT_SIZE, DICT_ITEM = 9, 10, 11, 12, 13
    CLEAR = 14  # of the error that is pending
    SAVE, RESTORE = 15, 16  # give up the lock, take it again
    INC_REF, DEC_REF = 17, 18
    ALL = 19


_OBJECTS: tuple[object, ...] = (None, True, False, str, int, float, list, tuple, dict)
_FUNCTIONS = (
    *("PyUnicode_AsUTF8AndSize", "PyLong_AsLongLongAndOverflow", "PyFloat_AsDouble"),
    *("PyDict_Size", "PyDict_GetItem", "PyErr_Clear", "PyEval_SaveThread", "PyEval_RestoreThread"),
    *("Py_IncRef", "Py_DecRef"),
)


@functools.cache
def python_objects() -> int | None:
    """Where the addresses of Known lie, int64; None where compiled code may not read objects."""
    if sys.implementation.name != "cpython" or "t" in sys.abiflags or not _layout_is_known():
        return None
    functions = [getattr(ctypes.pythonapi, name) for name in _FUNCTIONS]
    _kept[:] = [
        *map(id, _OBJECTS),
        *(ctypes.cast(function, ctypes.c_void_p).value or 0 for function in functions),
    ]
    return address(_kept)


def _layout_is_known() -> bool:
    if object.__basicsize__ != 16 or any(_word(id(o), TYPE) != id(type(o)) for o in _OBJECTS):
        return False
    values = ["a", 1 << 40]
    pair, array = tuple(values), np.zeros((2, 3), np.float32)
    places = _word(id(values), FIRST) or id(values)
    of_list = [_word(id(values), COUNT), *(_word(places, k) for k in range(2))]
    of_tuple = [_word(id(pair), place) for place in (COUNT, FIRST, FIRST + 1)]
    wanted = [2, *map(id, values)]
    return of_list == of_tuple == wanted and _word(id(array), ARRAY_DATA) == address(array)


def _word(at: int, place: int) -> int | None:
    return ctypes.c_void_p.from_address(at + 8 * place).value


_kept = aligned_empty(len(_OBJECTS) + len(_FUNCTIONS), "int64")
