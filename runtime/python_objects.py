"""Where Python keeps what compiled code needs to read Python's values by itself.

Compiled code reads and makes values through functions of Python's and numpy's C interfaces, whose
addresses it is given, so that a library needs no symbol of theirs. Of the layout of
objects it relies on this, by words of 8 bytes, which is tried when an artifact is loaded:

    any object     1: its type
    list, tuple    2: how many values; 3: the address of the first, or the first of a tuple's
    numpy array    2: the address of its values; 3: how many axes, int32; 4, 5: the addresses of
                   their lengths and of the bytes between their values; 7: the dtype's
    dtype          3: from the lowest byte up its kind, a letter, and the order of its bytes
    float          2: its value
    int            2: how many digits, and its sign; 3: the lowest digit, int32
    str            2: how many characters; 4: bits, which say whether it is ASCII in one piece

Where that is not so, or a function is missing, or there is no global lock, `python_objects` gives
None, and `marshal` does the work. Of a str the rest depends on the version of Python, and is found
out: which bits, and how far behind the object's address the text is. Where it cannot be, each str
is asked for its text. So are ints for their value, but for small ones, if it is found out how these
look. Where a dtype has the size of a value depends on numpy's version: where it is not found,
arrays are left to the runtime.
"""

from __future__ import annotations

import ctypes
import functools
import sys
from types import MethodType
from typing import Any

import numpy as np

from runtime.arrays import aligned_empty
from runtime.input_table import address

__all__ = [
    "ARRAY_AXES",
    "ARRAY_DATA",
    "ARRAY_DTYPE",
    "ARRAY_LENGTHS",
    "ARRAY_STEPS",
    "COUNT",
    "DTYPE_KIND",
    "FIRST",
    "INT_DIGIT",
    "INT_SIZE",
    "ORDER_SHIFT",
    "REAL",
    "TEXT_BITS",
    "TYPE",
    "Known",
    "arrays_are_known",
    "python_objects",
]

TYPE = 1  # of any object
COUNT, FIRST = 2, 3  # of a list or tuple; COUNT of a str too
TEXT_BITS = 4
REAL = 2  # of a float
INT_SIZE, INT_DIGIT = 2, 3
_INT32, _NO_SIZE = (1 << 32) - 1, -(1 << 62)
_METHOD_CALL = 5  # of a bound method, in Python 3.10
# Of a numpy array, and of its dtype.
ARRAY_DATA, ARRAY_AXES, ARRAY_LENGTHS, ARRAY_STEPS, ARRAY_DTYPE = 2, 3, 4, 5, 7
DTYPE_KIND, ORDER_SHIFT = 3, 16
_DTYPE_SIZES = (32, 40)  # bytes behind the address of a dtype, in numpy 1 and 2


class Known:
    """Places of addresses, of the single objects, of types, and of functions, and of numbers."""

    NONE, TRUE, FALSE = 0, 1, 2
    STR, INT, FLOAT, LIST, TUPLE, DICT = 3, 4, 5, 6, 7, 8
    AS_UTF8, AS_INTEGER, DICT_SIZE, DICT_ITEM = 9, 10, 11, 12
    CLEAR = 13  # of the error that is pending
    SAVE, RESTORE = 14, 15  # give up the lock, take it again
    INC_REF, DEC_REF = 16, 17
    CALL_EMPTY = 18  # an object, without arguments
    APPEND, NEW_DICT, SET_ITEM = 19, 20, 21
    NEW_ARRAY = 22
    CALL_METHOD = 23  # one bound to an object, with arguments in an array
    # A str whose TEXT_BITS have these as wanted is ASCII, and so far behind its address.
    BITS, BITS_WANTED, TEXT_AT = 24, 25, 26
    # The INT_SIZE of an int above 0 that has one digit, and that of 0.
    INT_ONE, INT_ZERO = 27, 28
    # The type of arrays, 0 where they are left; bytes behind a dtype's address to its int32 size.
    ARRAY, DTYPE_SIZE = 29, 30
    ALL = 31


_OBJECTS: tuple[object, ...] = (None, True, False, str, int, float, list, tuple, dict)
_FUNCTIONS = (
    *("PyUnicode_AsUTF8AndSize", "PyLong_AsLongLongAndOverflow"),
    *("PyDict_Size", "PyDict_GetItemWithError", "PyErr_Clear"),
    *("PyEval_SaveThread", "PyEval_RestoreThread", "Py_IncRef", "Py_DecRef"),
    *("PyObject_CallNoArgs", "PyList_Append", "PyDict_New", "PyDict_SetItem"),
)
# Of numpy's C interface: the functions in its table, and the versions of its binary interface in
# which they are there. `NEW_ARRAY` is PyArray_Empty.
_NUMPY_VERSION, _NUMPY_EMPTY, _NUMPY_VERSIONS = 0, 184, (0x01000009, 0x02000000)


@functools.cache
def python_objects() -> int | None:
    """Where the addresses of Known lie, int64; None where compiled code may not read objects."""
    if sys.implementation.name != "cpython" or "t" in sys.abiflags or not _layout_is_known():
        return None
    functions = [*map(_function, _FUNCTIONS), _numpy_empty(), _method_call()]
    if None in functions:
        return None
    _kept[:] = [*map(id, _OBJECTS), *functions, *_ascii_text(), *_small_ints(), *_arrays()]
    return address(_kept)


def arrays_are_known() -> bool:
    """Whether compiled code may read numpy's arrays too."""
    return python_objects() is not None and _kept[Known.ARRAY] != 0


def _function(name: str) -> int | None:
    """Where one of Python's is, if this Python has it."""
    function = getattr(ctypes.pythonapi, name, None)
    return None if function is None else ctypes.cast(function, ctypes.c_void_p).value


def _method_call() -> int | None:
    """Where the function is that calls a bound method with arguments in an array."""
    # Python 3.10 inlines PyObject_Vectorcall: it is what an object says of itself.
    if sys.version_info < (3, 11):
        return _word(id(MethodType(len, "")), _METHOD_CALL)
    return _function("PyObject_Vectorcall")


def _numpy_empty() -> int | None:
    """Where numpy's PyArray_Empty is."""
    core = sys.modules.get("numpy._core.multiarray") or sys.modules.get("numpy.core.multiarray")
    table = getattr(core, "_ARRAY_API", None)
    pointer_of = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
        ("PyCapsule_GetPointer", ctypes.pythonapi)
    )
    if table is None:
        return None
    at = pointer_of(table, None)
    version = ctypes.PYFUNCTYPE(ctypes.c_uint)(_word(at, _NUMPY_VERSION) or 0)
    return _word(at, _NUMPY_EMPTY) if version() in _NUMPY_VERSIONS else None


def _layout_is_known() -> bool:
    if object.__basicsize__ != 16 or any(_word(id(o), TYPE) != id(type(o)) for o in _OBJECTS):
        return False
    values: list[Any] = ["a", 1 << 40, 0.1]
    pair, array = tuple(values), np.zeros((2, 3), np.float32)
    places = _word(id(values), FIRST) or id(values)
    of_list = [_word(id(values), COUNT), *(_word(places, k) for k in range(3))]
    of_tuple = [_word(id(pair), place) for place in range(COUNT, FIRST + 3)]
    wanted = [3, *map(id, values)]
    real = ctypes.c_double.from_address(id(values[2]) + 8 * REAL).value
    is_real = real == values[2]
    is_array = _word(id(array), ARRAY_DATA) == address(array)
    return of_list == of_tuple == wanted and is_real and is_array


class _Text(str):
    """A str that is not in one piece."""

    __slots__ = ()


def _ascii_text() -> tuple[int, int, int]:
    """What Known has from BITS on; (0, 1, 0), which no str is like, where it cannot be found."""
    # Three that differ in what they are alone: no literals, which Python may share.
    text, latin = ("".join([letter, "bc"]) for letter in "aé")
    bits, *others = (_word(id(one), TEXT_BITS) or 0 for one in (text, latin, _Text(text)))
    # The lowest ones: those above may be of memory that no one has written.
    is_ascii, is_whole = ((bits ^ other) & -(bits ^ other) for other in others)
    wanted = is_ascii | is_whole
    at = sys.getsizeof(text) - len(text) - 1  # there is a 0 behind
    is_there = ctypes.string_at(id(text) + at, len(text)) == text.encode()
    is_counted = _word(id(text), COUNT) == len(text)
    has_bits = all(bit and bits & bit for bit in (is_ascii, is_whole)) and is_ascii != is_whole
    if is_there and is_counted and has_bits:
        return wanted, wanted, at
    return 0, 1, 0


def _small_ints() -> tuple[int, int]:
    """What Known has from INT_ONE on; what no int has where they do not look as expected."""
    most = (1 << 30) - 1
    ones, others = (1, 77, most), (-1, -77, most + 1, -most - 1, 1 << 70)
    sizes = {_word(id(one), INT_SIZE) for one in ones}
    digits = [ctypes.c_int32.from_address(id(one) + 8 * INT_DIGIT).value for one in ones]
    zero = _word(id(0), INT_SIZE)
    known = len(sizes) == 1 and digits == list(ones)
    if not known or sizes & {_word(id(one), INT_SIZE) for one in others} or zero in sizes:
        return _NO_SIZE, _NO_SIZE
    return sizes.pop() or 0, zero or 0


def _arrays() -> tuple[int, int]:
    """What Known has from ARRAY on."""
    table = np.zeros((3, 7), "S7")
    tried = [np.zeros(5, code) for code in ("f4", "f8", "i1", "u8", "?", "S9", "U3", ">i4")]
    tried += [table[:, 2], table[1, ::-2]]
    for at in _DTYPE_SIZES:
        if all(_is_as_told(array, at) for array in tried):
            return id(np.ndarray), at
    return 0, 0


def _is_as_told(array: np.ndarray, size_at: int) -> bool:
    """Whether an array of one axis lies as the layout above has it."""
    dtype, words = array.dtype, [_word(id(array), place) or 0 for place in range(ARRAY_DTYPE + 1)]
    if words[ARRAY_DTYPE] != id(dtype) or words[ARRAY_AXES] & _INT32 != array.ndim:
        return False
    told = _word(id(dtype), DTYPE_KIND) or 0
    letters = bytes([told & 0xFF, told >> ORDER_SHIFT & 0xFF]).decode("latin1")
    length, step = (_word(words[place], 0) for place in (ARRAY_LENGTHS, ARRAY_STEPS))
    size = ctypes.c_int32.from_address(id(dtype) + size_at).value
    found = (words[TYPE], letters, length, ctypes.c_int64(step or 0).value, size)
    wanted = (dtype.kind + dtype.byteorder, len(array), array.strides[0], dtype.itemsize)
    return found == (id(np.ndarray), *wanted)


def _word(at: int, place: int) -> int | None:
    return ctypes.c_void_p.from_address(at + 8 * place).value


_kept = aligned_empty(Known.ALL, "int64")
