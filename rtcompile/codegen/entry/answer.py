"""The function `answer`: what `serve.py` emits, into numpy arrays that Python gets.

    def answer_request(user, items, context, request, result):        # internal
        if items[COUNT] > request[ROOM]: request[OUTCOME] = UNREAD
        else:
            request[ROWS] = items[COUNT]
            found = dict()
            for output in request[ANSWERS]:
                array = numpy.empty(EXTENTS, DTYPE)     # EXTENTS[0] = request[ROWS], where BY_ROWS
                found[output[NAME]] = array; output[TO] = where its values are
            serve_request(user, items, context, request)
            if request[OUTCOME] == DONE: *result = found

    def answer(self, arguments, count, names, result):              # as Python calls it
        answer_request(*arguments, self[0], result)
        if *result == 0: *result = None

`items` is a list or a tuple; `context` is 0, or None, where the model has no fields of it. No one
else has the arrays while they are written.
"""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit.linkage import call_with_barriers
from rtcompile.codegen.emit.pointers import values_at
from rtcompile.codegen.emit.structs import Struct, field_at, struct_at
from rtcompile.codegen.emit.tir import Cell, i64
from rtcompile.codegen.entry.python_entry import ENTRY_ARGUMENTS, kept_words
from rtcompile.codegen.entry.python_objects import call_python
from rtcompile.codegen.entry.serve import SERVE_REQUEST
from rtcompile.runtime.abi.answer import Output
from rtcompile.runtime.abi.python_objects import ArrayObject, ListObject, PythonApi
from rtcompile.runtime.abi.rank import Arguments, Result
from rtcompile.runtime.abi.serve import Outcome, Request

__all__ = ["ANSWER", "ANSWER_REQUEST", "answer_function", "answer_request"]

ANSWER, ANSWER_REQUEST = "answer", "answer_request"


def answer_function() -> Any:
    """The internal PrimFunc behind `answer`."""
    with IRBuilder() as builder, T.prim_func(private=True, s_tir=True):
        T.func_name(ANSWER)
        T.func_attr({"tirx.is_scheduled": True})
        own, arguments, _, _, result = (T.arg(name, T.int64()) for name in ENTRY_ARGUMENTS)
        given, made = struct_at(Arguments, arguments), struct_at(Result, result)
        request = [T.Bind(given[field]) for field in Arguments.FIELDS]
        at = kept_words(own)
        call_with_barriers(ANSWER_REQUEST, [*request, at, result])
        with T.If(made[Result.OBJECT] == 0), T.Then():
            python = struct_at(Request, at).follow(Request.PYTHON)
            none = T.Bind(python[PythonApi.NONE])
            call_python(T.Bind(python[PythonApi.INC_REF]), none)
            made[Result.OBJECT] = none
    return builder.get()


def answer_request(outputs: int) -> Any:
    """The internal PrimFunc `answer_request`. `outputs`: of the cross stage."""
    with IRBuilder() as builder, T.prim_func(private=True, s_tir=True):
        T.func_name(ANSWER_REQUEST)
        T.func_attr({"tirx.is_scheduled": True})
        names = ("user", "items", "context", "words", "result")
        user, items, context, at, result = (T.arg(name, T.int64()) for name in names)
        request = struct_at(Request, at)
        rows = T.Bind(field_at(items, ListObject.COUNT))
        request[Request.OUTCOME] = i64(Outcome.UNREAD)
        with T.If(rows <= request[Request.ROOM]), T.Then():
            request[Request.ROWS] = rows
            python = request.follow(Request.PYTHON)
            found = call_python(T.Bind(python[PythonApi.NEW_DICT]))
            with T.If(_has_arrays(found, request, python, rows, outputs)), T.Then():
                call_with_barriers(SERVE_REQUEST, [user, items, context, at])
            with T.If(request[Request.OUTCOME] == Outcome.DONE):
                with T.Then():
                    struct_at(Result, result)[Result.OBJECT] = found
                with T.Else(), T.If(found != 0), T.Then():
                    call_python(T.Bind(python[PythonApi.DEC_REF]), found)
    return builder.get()


def _has_arrays(found: Any, request: Struct, python: Struct, rows: Any, outputs: int) -> Any:
    """Emit the making of the arrays, into the dict `found`; returns whether there was memory."""
    made = Cell("int64", found)
    answers = request.follow(Request.ANSWERS)
    new, enter, release, clear = (
        T.Bind(python[function])
        for function in (
            PythonApi.NEW_ARRAY,
            PythonApi.SET_ITEM,
            PythonApi.DEC_REF,
            PythonApi.CLEAR,
        )
    )
    for number in range(outputs):
        output = answers.at_index(number)
        with T.If(made.get() != 0), T.Then():
            dimensions, extents, dtype = (
                T.Bind(output[field]) for field in (Output.DIMENSIONS, Output.EXTENTS, Output.DTYPE)
            )
            with T.If(output[Output.BY_ROWS] != 0), T.Then():
                T.buffer_store(values_at(extents, "int64"), rows, [0])
            call_python(T.Bind(python[PythonApi.INC_REF]), dtype)  # which the next one takes
            array = call_python(new, dimensions, extents, dtype, i64(0))
            made.set(array)
            with T.If(array != 0), T.Then():
                failed = call_python(enter, found, T.Bind(output[Output.NAME]), array)
                output[Output.TO] = field_at(array, ArrayObject.DATA)
                call_python(release, array)
                with T.If(tirx.Cast("int32", failed) != 0), T.Then():
                    made.set(i64(0))
    with T.If(made.get() == 0), T.Then():
        call_python(clear)
    return T.Bind(made.get() != 0)
