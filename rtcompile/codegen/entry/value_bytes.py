"""Write Python's values as `marshal` does, in compiled code: `features/marshalled.py` describes it.

    at, stack = begin, [object]
    while stack:
        value = the next one of stack[-1], or pop it
        type = value[1]                             # a word of the object
        if   type == str:   at += "u" + size + its bytes; of PyUnicode_AsUTF8AndSize, unless ASCII
        elif type == list:  at += "[" + value[2]; write its texts and numbers up to the first
                            other one; push what is left of it
        elif type == int:   at += "i" + int32, or "l" + digits; of PyLong_AsLongLongAndOverflow,
                            unless it is small
        elif type == float: at += "g" + float64
        ...                                         # tuple, None, True, False, numpy's arrays
        else, or where there is no room: at = 0; break

It writes the same bytes in a third of the time: marshal makes an object of each string's bytes.
Whoever calls it holds Python's lock. `runtime/abi/python_objects.py` says how objects lie.
"""

from __future__ import annotations

from typing import Any

from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit.linkage import call_with_barriers
from rtcompile.codegen.emit.structs import struct_at
from rtcompile.codegen.emit.tir import i64
from rtcompile.codegen.entry.object_writer import ObjectWriter
from rtcompile.codegen.entry.write_array import write_array_function
from rtcompile.runtime.abi.serve_features import FieldNames
from rtcompile.runtime.abi.value_bytes import WRITE, ValueBuffer

__all__ = ["ANY_ROWS", "write_fields", "write_function", "write_functions", "write_object"]

ANY_ROWS = i64(-1)

_OBJECT, _FIELDS = "write_object", "write_fields"
_FIELDS_ARGUMENTS = ("fields", "wanted", "names", "rows", "words")


def write_function() -> Any:
    """The PrimFunc `write(object, words)`: `write_object`, for the runtime."""
    with IRBuilder() as builder, T.prim_func(s_tir=True):
        T.func_name(WRITE)
        T.func_attr({"global_symbol": WRITE, "tirx.is_scheduled": True, "s_tir": True})
        write_object(*(T.arg(name, T.int64()) for name in ("object", "words")))
    return builder.get()


def write_functions() -> dict[str, Any]:
    """The internal PrimFuncs behind `write_object` and `write_fields`."""
    found = write_array_function()
    for name, names in ((_OBJECT, ("object", "words")), (_FIELDS, _FIELDS_ARGUMENTS)):
        with IRBuilder() as builder, T.prim_func(private=True, s_tir=True):
            T.func_name(name)
            T.func_attr({"tirx.is_scheduled": True})
            given = [T.arg(one, T.int64()) for one in names]
            writer = ObjectWriter(struct_at(ValueBuffer, given[-1]))
            if name == _OBJECT:
                writer.write(given[0])
            else:
                fields, wanted, names_at, rows, _ = given
                writer.write_dict(fields, wanted, struct_at(FieldNames, names_at), rows)
            writer.finish()
        found[name] = builder.get()
    return found


def write_object(value: Any, words: Any) -> None:
    """Emit the writing of an object. `value`: its address; `words`: that of a ValueBuffer."""
    call_with_barriers(_OBJECT, [value, words])


def write_fields(fields: Any, wanted: Any, names: Any, words: Any, rows: Any) -> None:
    """Emit the writing of a tuple of a dict's values, as `write_object` does.

    `fields`: the address of what may be a dict. It has all `names` and no others; the values of the
    first `wanted` are written. `names`: the address of a FieldNames. `rows`: how
    many values each has to have, in a list, a tuple or an array of one axis; or ANY_ROWS.
    """
    call_with_barriers(_FIELDS, [fields, wanted, names, rows, words])
