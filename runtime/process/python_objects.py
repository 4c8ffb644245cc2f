"""Where Python keeps what compiled code needs to read Python's values by itself.

Compiled code reads and makes values through functions of Python's and numpy's C interfaces, whose
addresses it is given, so that a library needs no symbol of theirs. How objects lie
`abi/python_objects.py` says; that is tried when an artifact is loaded. Where it is not so, or a
function is missing, or there is no global lock, `python_objects` gives None, and `marshal` does the
work. Of a str the rest depends on the version of Python, and is found out: which bits, and how far
behind the object's address the text is. Where it cannot be, each str is asked for its text. So are
ints for their value, but for small ones, if it is found out how these look. Where a dtype
has the size of a value depends on numpy's version: where it is not found, arrays are left to the
runtime.
"""

from __future__ import annotations

import ctypes
import functools
import sys
from collections.abc import Mapping
from types import MethodType
from typing import Any

import numpy as np

from rtcompile.runtime.abi.layout import Field
from rtcompile.runtime.abi.python_objects import (
    INT32,
    ORDER_SHIFT,
    ArrayObject,
    DtypeObject,
    FloatObject,
    IntObject,
    ListObject,
    MethodObject,
    Object,
    PythonApi,
    StrObject,
    TupleObject,
)
from rtcompile.runtime.memory.input_table import address
from rtcompile.runtime.memory.struct_memory import allocate

__all__ = ["arrays_are_known", "python_objects"]

_NO_SIZE = -(1 << 62)
_DTYPE_SIZES = (32, 40)  # bytes behind the address of a dtype, in numpy 1 and 2

_OBJECTS: Mapping[Field, object] = {
    PythonApi.NONE: None,
    PythonApi.TRUE: True,
    PythonApi.FALSE: False,
    PythonApi.STR: str,
    PythonApi.INT: int,
    PythonApi.FLOAT: float,
    PythonApi.LIST: list,
    PythonApi.TUPLE: tuple,
    PythonApi.DICT: dict,
}
_FUNCTIONS = {
    PythonApi.AS_UTF8: "PyUnicode_AsUTF8AndSize",
    PythonApi.AS_INTEGER: "PyLong_AsLongLongAndOverflow",
    PythonApi.DICT_SIZE: "PyDict_Size",
    PythonApi.DICT_ITEM: "PyDict_GetItemWithError",
    PythonApi.CLEAR: "PyErr_Clear",
    PythonApi.SAVE: "PyEval_SaveThread",
    PythonApi.RESTORE: "PyEval_RestoreThread",
    PythonApi.INC_REF: "Py_IncRef",
    PythonApi.DEC_REF: "Py_DecRef",
    PythonApi.CALL_EMPTY: "PyObject_CallNoArgs",
    PythonApi.APPEND: "PyList_Append",
    PythonApi.NEW_DICT: "PyDict_New",
    PythonApi.SET_ITEM: "PyDict_SetItem",
}
_FOUND_OUT = (
    *(PythonApi.BITS, PythonApi.BITS_WANTED, PythonApi.TEXT_AT),
    *(PythonApi.INT_ONE, PythonApi.INT_ZERO),
    *(PythonApi.ARRAY, PythonApi.DTYPE_SIZE),
)
# Of numpy's C interface: the functions in its table, and the versions of its binary interface in
# which they are there. `NEW_ARRAY` is PyArray_Empty.
_NUMPY_VERSION, _NUMPY_EMPTY, _NUMPY_VERSIONS = 0, 184, (0x01000009, 0x02000000)


@functools.cache
def python_objects() -> int | None:
    """Where the words of PythonApi lie; None where compiled code may not read objects."""
    if sys.implementation.name != "cpython" or "t" in sys.abiflags or not _layout_is_known():
        return None
    functions = {field: _function(name) for field, name in _FUNCTIONS.items()}
    functions |= {PythonApi.NEW_ARRAY: _numpy_empty(), PythonApi.CALL_METHOD: _method_call()}
    objects = {field: id(one) for field, one in _OBJECTS.items()}
    found = dict(zip(_FOUND_OUT, (*_ascii_text(), *_small_ints(), *_arrays()), strict=True))
    for field, value in (objects | functions | found).items():
        if value is None:
            return None
        _kept.words[field] = value
    return _kept.address


def arrays_are_known() -> bool:
    """Whether compiled code may read numpy's arrays too."""
    return python_objects() is not None and _kept.words[PythonApi.ARRAY] != 0


def _function(name: str) -> int | None:
    """Where one of Python's is, if this Python has it."""
    function = getattr(ctypes.pythonapi, name, None)
    return None if function is None else ctypes.cast(function, ctypes.c_void_p).value


def _method_call() -> int | None:
    """Where the function is that calls a bound method with arguments in an array."""
    # Python 3.10 inlines PyObject_Vectorcall: it is what an object says of itself.
    if sys.version_info < (3, 11):
        return _word(id(MethodType(len, "")), MethodObject.CALL)
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
    if object.__basicsize__ != 16 or any(
        _word(id(o), Object.TYPE) != id(type(o)) for o in _OBJECTS.values()
    ):
        return False
    values: list[Any] = ["a", 1 << 40, 0.1]
    pair, array = tuple(values), np.zeros((2, 3), np.float32)
    places = _word(id(values), ListObject.FIRST) or id(values)
    of_list = [_word(id(values), ListObject.COUNT), *(_word(places, k) for k in range(3))]
    of_tuple = [_word(id(pair), TupleObject.COUNT)]
    of_tuple += [_word(id(pair), TupleObject.VALUES.at(k)) for k in range(3)]
    wanted = [3, *map(id, values)]
    real = ctypes.c_double.from_address(id(values[2]) + FloatObject.VALUE.byte).value
    is_real = real == values[2]
    is_array = _word(id(array), ArrayObject.DATA) == address(array)
    return of_list == of_tuple == wanted and is_real and is_array


class _Text(str):
    """A str that is not in one piece."""

    __slots__ = ()


def _ascii_text() -> tuple[int, int, int]:
    """PythonApi's BITS, BITS_WANTED and TEXT_AT; as of no str, where they cannot be found."""
    # Three that differ in what they are alone: no literals, which Python may share.
    text, latin = ("".join([letter, "bc"]) for letter in "aé")
    bits, *others = (_word(id(one), StrObject.BITS) or 0 for one in (text, latin, _Text(text)))
    # The lowest ones: those above may be of memory that no one has written.
    is_ascii, is_whole = ((bits ^ other) & -(bits ^ other) for other in others)
    wanted = is_ascii | is_whole
    at = sys.getsizeof(text) - len(text) - 1  # there is a 0 behind
    is_there = ctypes.string_at(id(text) + at, len(text)) == text.encode()
    is_counted = _word(id(text), StrObject.COUNT) == len(text)
    has_bits = all(bit and bits & bit for bit in (is_ascii, is_whole)) and is_ascii != is_whole
    if is_there and is_counted and has_bits:
        return wanted, wanted, at
    return 0, 1, 0


def _small_ints() -> tuple[int, int]:
    """PythonApi's INT_ONE and INT_ZERO; as of no int, where these do not look as expected."""
    most = (1 << 30) - 1
    ones, others = (1, 77, most), (-1, -77, most + 1, -most - 1, 1 << 70)
    sizes = {_word(id(one), IntObject.SIZE) for one in ones}
    digits = [ctypes.c_int32.from_address(id(one) + IntObject.DIGIT.byte).value for one in ones]
    zero = _word(id(0), IntObject.SIZE)
    known = len(sizes) == 1 and digits == list(ones)
    if not known or sizes & {_word(id(one), IntObject.SIZE) for one in others} or zero in sizes:
        return _NO_SIZE, _NO_SIZE
    return sizes.pop() or 0, zero or 0


def _arrays() -> tuple[int, int]:
    """PythonApi's ARRAY and DTYPE_SIZE; 0 where they are not found."""
    table = np.zeros((3, 7), "S7")
    tried = [np.zeros(5, code) for code in ("f4", "f8", "i1", "u8", "?", "S9", "U3", ">i4")]
    tried += [table[:, 2], table[1, ::-2]]
    for at in _DTYPE_SIZES:
        if all(_is_as_told(array, at) for array in tried):
            return id(np.ndarray), at
    return 0, 0


def _is_as_told(array: np.ndarray, size_at: int) -> bool:
    """Whether an array of one axis lies as the layout above has it."""
    dtype = array.dtype
    words = {field: _word(id(array), field) or 0 for field in ArrayObject.FIELDS}
    if words[ArrayObject.DTYPE] != id(dtype) or words[ArrayObject.AXES] & INT32 != array.ndim:
        return False
    told = _word(id(dtype), DtypeObject.KIND) or 0
    letters = bytes([told & 0xFF, told >> ORDER_SHIFT & 0xFF]).decode("latin1")
    length, step = (_word(words[field], 0) for field in (ArrayObject.LENGTHS, ArrayObject.STEPS))
    size = ctypes.c_int32.from_address(id(dtype) + size_at).value
    found = (words[Object.TYPE], letters, length, ctypes.c_int64(step or 0).value, size)
    wanted = (dtype.kind + dtype.byteorder, len(array), array.strides[0], dtype.itemsize)
    return found == (id(np.ndarray), *wanted)


def _word(at: int, place: int) -> int | None:
    return ctypes.c_void_p.from_address(at + 8 * place).value


_kept = allocate(PythonApi)
