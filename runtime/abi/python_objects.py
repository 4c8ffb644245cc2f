"""What compiled code needs to read and make Python's objects: addresses, and how objects lie.

`runtime/process/python_objects.py` fills `PythonApi` and tries that objects lie as these structs
say; `rtcompile/codegen/entry/python_objects.py` calls the functions.
"""

from __future__ import annotations

from rtcompile.runtime.abi.layout import PYTHON, RUNTIME, Layout, pointer, pointers, word

__all__ = [
    "INT32",
    "ORDER_SHIFT",
    "ArrayObject",
    "DtypeObject",
    "FloatObject",
    "IntObject",
    "ListObject",
    "MethodObject",
    "Object",
    "PythonApi",
    "StrObject",
    "TupleObject",
]

INT32 = (1 << 32) - 1  # of a word, the bits of an int32 that stands in its lower half
ORDER_SHIFT = 16  # of DtypeObject.KIND: there is the letter of the bytes' order


class PythonApi(Layout, owner=RUNTIME):
    """Python's single objects, types and functions; and what was found out of its objects."""

    NONE, TRUE, FALSE = pointer(), pointer(), pointer()
    STR, INT, FLOAT = pointer(), pointer(), pointer()
    LIST, TUPLE, DICT = pointer(), pointer(), pointer()
    AS_UTF8, AS_INTEGER = pointer(), pointer()
    DICT_SIZE, DICT_ITEM = pointer(), pointer()
    CLEAR = pointer()  # of the error that is pending
    SAVE, RESTORE = pointer(), pointer()  # give up the lock, take it again
    INC_REF, DEC_REF = pointer(), pointer()
    CALL_EMPTY = pointer()  # an object, without arguments
    APPEND, NEW_DICT, SET_ITEM = pointer(), pointer(), pointer()
    NEW_ARRAY = pointer()
    CALL_METHOD = pointer()  # one bound to an object, with arguments in an array
    # A str whose bits have these as wanted is ASCII, and so many bytes behind its address.
    BITS, BITS_WANTED, TEXT_AT = word(), word(), word()
    # The size of an int above 0 that has one digit, and that of 0.
    INT_ONE, INT_ZERO = word(), word()
    ARRAY = pointer()  # the type of arrays, 0 where they are left to the runtime
    DTYPE_SIZE = word()  # bytes behind a dtype's address to its int32 size


class Object(Layout, owner=PYTHON):
    """The head of any object."""

    REFERENCES = word()
    TYPE = pointer()


class ListObject(Object, owner=PYTHON):
    """A list; a tuple but for its values."""

    COUNT = word()
    FIRST = pointer()  # of the addresses of the values


class TupleObject(Object, owner=PYTHON):
    """A tuple."""

    COUNT = word()
    VALUES = pointers()


class FloatObject(Object, owner=PYTHON):
    """A float."""

    VALUE = word()  # the bits of a float64


class IntObject(Object, owner=PYTHON):
    """An int."""

    SIZE = word()  # how many digits, and the sign
    DIGIT = word()  # the lowest, an int32


class StrObject(Object, owner=PYTHON):
    """A str."""

    COUNT = word()  # characters
    HASH = word()
    BITS = word()  # whether it is ASCII in one piece


class MethodObject(Object, owner=PYTHON):
    """A bound method, in Python 3.10."""

    FUNCTION, SELF, WEAK_REFERENCES = pointer(), pointer(), pointer()
    CALL = pointer()  # the function that calls it


class ArrayObject(Object, owner=PYTHON):
    """A numpy array."""

    DATA = pointer()
    AXES = word()  # an int32
    LENGTHS, STEPS = pointer(), pointer()  # of the axes; in bytes
    BASE = pointer()
    DTYPE = pointer()


class DtypeObject(Object, owner=PYTHON):
    """A numpy dtype."""

    SCALAR = pointer()
    KIND = word()  # in its bytes: the kind, a letter, another, the order of the bytes
