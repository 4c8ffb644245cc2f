"""The function `rank`: Python calls it in the place of `Ranker.rank`.

    def rank(self, arguments, count, names, result):    # self: a tuple, the Entry's array first
        if user, items, a list or tuple, and a context are given, the latter if entry[HAS_CONTEXT],
           and idle is not empty:
            memory = idle.pop()
            request = memory[0]
            if request[VERSION] == current[VERSION] and items[COUNT] is brief, or long:
                hold(current[OBJECT])                   # the state of the items
                answer_request(user, items, context, request, result)
                release(current[OBJECT])
            idle.append(memory)
        if *result == 0: *result = else(*arguments)     # `Ranking.rank`

`runtime/abi/rank.py` describes the structs.
"""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit import llvm_helpers as wrapping
from rtcompile.codegen.emit.linkage import call_with_barriers
from rtcompile.codegen.emit.structs import field_at, struct_at
from rtcompile.codegen.emit.tir import Cell, i64
from rtcompile.codegen.entry.answer import ANSWER_REQUEST
from rtcompile.codegen.entry.brief_calls import is_tried
from rtcompile.codegen.entry.python_entry import ENTRY_ARGUMENTS, kept_words
from rtcompile.codegen.entry.python_objects import call_python
from rtcompile.runtime.abi.python_objects import ListObject, Object, PythonApi, TupleObject
from rtcompile.runtime.abi.rank import Arguments, Current, Entry, Result
from rtcompile.runtime.abi.serve import Request

__all__ = ["RANK", "rank_function"]

RANK = "rank"
_ARGUMENTS = len(Arguments.FIELDS)


def rank_function() -> Any:
    """The internal PrimFunc behind `rank`."""
    with IRBuilder() as builder, T.prim_func(private=True, s_tir=True):
        T.func_name(RANK)
        T.func_attr({"tirx.is_scheduled": True})
        _Rank(*(T.arg(name, T.int64()) for name in ENTRY_ARGUMENTS)).emit()
    return builder.get()


class _Rank:
    def __init__(self, own: Any, arguments: Any, count: Any, names: Any, result: Any) -> None:
        self._arguments, self._count, self._names, self._result = arguments, count, names, result
        self._entry = struct_at(Entry, kept_words(own))
        self._python = self._entry.follow(Entry.PYTHON)

    def emit(self) -> None:
        """Emit all of it."""
        given, result = struct_at(Arguments, self._arguments), struct_at(Result, self._result)
        known, context = self._are_known()
        with T.If(known), T.Then():
            user, items = T.Bind(given[Arguments.USER]), T.Bind(given[Arguments.ITEMS])
            kind = T.Bind(field_at(items, Object.TYPE))
            is_list, is_tuple = (
                kind == self._python[place] for place in (PythonApi.LIST, PythonApi.TUPLE)
            )
            idle = self._entry.follow(Entry.IDLE)
            with T.If(tirx.And(tirx.Or(is_list, is_tuple), idle[ListObject.COUNT] > 0)), T.Then():
                pop = T.Bind(self._entry[Entry.POP])
                memory = call_python(T.Bind(self._python[PythonApi.CALL_EMPTY]), pop)
                with T.If(memory != 0):
                    with T.Then():
                        self._answer(user, items, context, memory)
                        self._give_back(memory)
                    with T.Else():
                        call_python(T.Bind(self._python[PythonApi.CLEAR]))
        T.evaluate(T.call_extern("void", wrapping.BARRIER))
        with T.If(result[Result.OBJECT] == 0), T.Then():
            call = T.Bind(self._python[PythonApi.CALL_METHOD])
            otherwise = T.Bind(self._entry[Entry.ELSE])
            found = call_python(call, otherwise, self._arguments, self._count, self._names)
            result[Result.OBJECT] = found

    def _are_known(self) -> tuple[Any, Any]:
        """Emit whether a user, items, and a context if the model has one are given, in this order,
        by place or name; and the context, 0 if there is none."""
        known, named, context = Cell("int32", 1), Cell("int64", i64(0)), Cell("int64", i64(0))
        names, given = struct_at(TupleObject, self._names), struct_at(Arguments, self._arguments)
        with T.If(self._names != 0), T.Then():
            named.set(names[TupleObject.COUNT])
        total = T.Bind(self._count + named.get())
        for place in range(_ARGUMENTS):
            is_named = tirx.And(self._count <= place, place < total)
            with T.If(is_named), T.Then():
                name = T.Bind(names.element_before(TupleObject.VALUES.at(place), self._count))
                with T.If(name != self._entry[Entry.NAMES.at(place)]), T.Then():
                    known.set(0)
        with T.If(total == _ARGUMENTS), T.Then():
            last = T.Bind(given[Arguments.CONTEXT])
            with T.If(last != self._python[PythonApi.NONE]), T.Then():
                context.set(last)
        enough = tirx.And(total >= _ARGUMENTS - 1, total <= _ARGUMENTS)
        is_given = tirx.Cast("int64", context.get() != 0)
        wanted = T.Bind(is_given == self._entry[Entry.HAS_CONTEXT])
        taken = tirx.And(tirx.And(known.get() != 0, enough), wanted)
        return T.Bind(taken), T.Bind(context.get())

    def _answer(self, user: Any, items: Any, context: Any, memory: Any) -> None:
        at, current = kept_words(memory), self._entry.follow(Entry.CURRENT)
        request = struct_at(Request, at)
        brief = self._entry.follow(Entry.BRIEF)
        tried = is_tried(T.Bind(field_at(items, ListObject.COUNT)), brief)
        version = T.Bind(current[Current.VERSION])
        has_items = tirx.And(version != 0, request[Request.VERSION] == version)
        with T.If(tirx.And(tried, has_items)), T.Then():
            state = T.Bind(current[Current.OBJECT])
            call_python(T.Bind(self._python[PythonApi.INC_REF]), state)
            call_with_barriers(ANSWER_REQUEST, [user, items, context, at, self._result])
            call_python(T.Bind(self._python[PythonApi.DEC_REF]), state)

    def _give_back(self, memory: Any) -> None:
        idle, python = T.Bind(self._entry[Entry.IDLE]), self._python
        failed = call_python(T.Bind(python[PythonApi.APPEND]), idle, memory)
        with T.If(tirx.Cast("int32", failed) != 0), T.Then():  # there is no memory to keep it
            call_python(T.Bind(python[PythonApi.CLEAR]))
        call_python(T.Bind(python[PythonApi.DEC_REF]), memory)
