"""Give up Python's lock while compiled code runs that needs nothing of Python's.

    if releases != 0: thread = PyEval_SaveThread()
    give_turn(turn)
    ...
    take_turn(turn)
    if releases != 0:
        ask_for_lock(turn)
        PyEval_RestoreThread(thread)
        has_lock(turn)

So one call reads Python's objects first, under the lock. `python_turn.py` describes the turns.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit.structs import Struct
from rtcompile.codegen.emit.tir import Cell, i64
from rtcompile.codegen.entry.python_objects import call_python
from rtcompile.codegen.entry.python_turn import ask_for_lock, give_turn, has_lock, take_turn
from rtcompile.runtime.abi.python_objects import PythonApi

__all__ = ["without_lock"]


@contextmanager
def without_lock(releases: Any, python: Struct, turn: Any) -> Iterator[None]:
    """Emit the body without the lock, where `releases`. `python`: the buffer of PythonApi."""
    thread = Cell("int64", i64(0))
    with T.If(releases != 0), T.Then():
        thread.set(call_python(T.Bind(python[PythonApi.SAVE])))
    give_turn(turn)
    yield
    take_turn(turn)
    with T.If(releases != 0), T.Then():
        ask_for_lock(turn)
        call_python(T.Bind(python[PythonApi.RESTORE]), T.Bind(thread.get()))
        has_lock(turn)
