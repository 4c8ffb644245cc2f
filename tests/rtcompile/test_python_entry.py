"""Compiled functions that Python calls as its own: what they are given, and what they give."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tvm_ffi
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T  # noqa: N812

from rtcompile.codegen.emit.linkage import addresses_function
from rtcompile.codegen.emit.pointers import values_at
from rtcompile.codegen.entry.python_entry import ENTRY_ARGUMENTS, entry_llvm, entry_symbol
from rtcompile.codegen.library.compile_units import compile_units
from rtcompile.codegen.library.link import find_linker, link
from rtcompile.codegen.library.module import _unit
from rtcompile.runtime.abi.rank import ADDRESSES, Addresses
from rtcompile.runtime.memory.arrays import aligned_empty
from rtcompile.runtime.memory.input_table import address
from rtcompile.runtime.process.python_entry import python_function
from rtcompile.targets import resolve_target
from tests.emulation.forced import why_not

_NAMES = ("sum", "count")
_NEON = "aarch64-neoverse-n1"


def _internal(name: str) -> Any:
    """`sum` adds up what it is given, unless the third is 0; `count` gives back that one."""
    with IRBuilder() as builder, T.prim_func(private=True, s_tir=True):
        T.func_name(name)
        T.func_attr({"tirx.is_scheduled": True})
        given = [T.arg(argument, T.int64()) for argument in ENTRY_ARGUMENTS]
        result = values_at(given[-1], "int64")
        if name == "count":
            T.buffer_store(result, given[2], [0])
        else:
            with T.If(given[2] != 0), T.Then():
                T.buffer_store(result, given[0] + given[1] + given[2] + given[3], [0])
    return builder.get()


def _library(target_name: str, path: Path) -> Path:
    target = resolve_target(target_name)
    internal, text = {name: _internal(name) for name in _NAMES}, entry_llvm(_NAMES, target.machine)
    symbols = dict(zip(Addresses.FIELDS, map(entry_symbol, _NAMES), strict=True))
    unit = _unit({ADDRESSES: addresses_function(ADDRESSES, symbols)}, internal, text)
    path.write_bytes(link(find_linker(target), compile_units([unit], target)))
    return path


def _addresses(module: Any) -> list[int]:
    words = aligned_empty(len(_NAMES), "int64")
    module[ADDRESSES](address(words))
    return list(words.tolist())


def test_what_they_are_given_and_give(tmp_path: Path) -> None:
    module = tvm_ffi.load_module(str(_library("host", tmp_path / "m.so")))
    add, count = (ctypes.CFUNCTYPE(*[ctypes.c_int64] * 5)(at) for at in _addresses(module))
    assert [add(1, 20, 300, 4000), add(1 << 40, 2, 3, -1)] == [4321, (1 << 40) + 4]
    assert add(1, 2, 0, 4) == 0, "what is not written is 0"
    assert [count(1, 2, number, 4) for number in (0, 7, -1)] == [0, 7, -1]


@pytest.mark.skipif(why_not(_NEON) is not None, reason=str(why_not(_NEON)))
def test_the_same_on_aarch64(tmp_path: Path) -> None:
    from tests.emulation.aarch64 import Library

    library = Library(_library(_NEON, tmp_path / "m.so"))
    add, count = _addresses(library)
    assert library.call(add, 1, 20, 300, 4000) == 4321
    assert library.call(add, 1, 2, 0, 4) == 0
    assert [library.call(count, 1, 2, number, 4) for number in (0, 7)] == [0, 7]


def test_a_function_of_python_keeps_what_it_is_made_of(tmp_path: Path) -> None:
    """It gives its own first argument back: a tuple of the words and of what it keeps."""
    words, kept = np.zeros(4, np.int64), ["kept"]
    given: list[tuple[Any, ...]] = []

    def code(own: Any, arguments: int, count: int, names: int | None) -> Any:
        given.append((count, names))
        return own

    types = (ctypes.py_object, ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_void_p)
    entry = ctypes.PYFUNCTYPE(ctypes.py_object, *types)(code)
    at = ctypes.cast(entry, ctypes.c_void_p).value or 0
    doc = "name($self, one, two=None)\n--\n\nText."
    function = python_function("name", "module", doc, at, words, kept)
    del words
    own = function(1, 2)
    assert own[0].tolist() == [0] * 4 and own[-1] is kept
    function(1, two=2)
    assert given[0] == (2, None) and given[1][0] == 1 and given[1][1]
    told = function.__name__, function.__module__, function.__doc__
    assert told == ("name", "module", "Text.")
