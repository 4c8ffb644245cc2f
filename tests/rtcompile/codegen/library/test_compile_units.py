"""Libraries from several object files: compiled once, linked, and closed to the outside."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tvm
import tvm_ffi
from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T  # noqa: N812

import rtcompile
from rtcompile import runtime
from rtcompile.codegen.emit.linkage import as_internal, call_internal, symbol_of
from rtcompile.codegen.entry.packed_api import tensor_main
from rtcompile.codegen.library import compile_units as units
from rtcompile.codegen.library.link import find_linker, link
from rtcompile.errors import ToolchainError
from rtcompile.runtime.artifact import read_artifact
from rtcompile.runtime.memory.arrays import aligned_empty
from rtcompile.targets import resolve_target
from tests.onnx_models import two_input_model
from tests.ranking_model import small_ranking_model

HOST = resolve_target("host")
INNER = "inner: a name, of any text"


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """The units that are compiled, of a process that has compiled nothing yet."""
    found: list[Any] = []
    compile_module = units.compile_module

    def noted(module: Any, target: Any) -> Any:
        found.append(module)
        return compile_module(module, target)

    monkeypatch.setattr(units, "compile_module", noted)
    monkeypatch.setattr(units, "_compiled", units._Compiled())
    yield found


def _inner(factor: int) -> Any:
    """x[k] *= factor, of `n` values."""
    with IRBuilder() as builder, T.prim_func(private=True, s_tir=True):
        T.func_name("inner")
        T.func_attr({"tirx.is_scheduled": True})
        n, at = T.arg("n", T.int64()), T.arg("x", T.handle("int64"))
        x = T.decl_buffer((1 << 40,), "int64", data=at)
        with T.serial(n) as k:
            T.buffer_store(x, x[k] * tirx.const(factor, "int64"), [k])
    return builder.get()


def _outer() -> Any:
    """Calls the inner function twice."""
    with IRBuilder() as builder, T.prim_func(private=True, s_tir=True):
        T.func_name("outer")
        T.func_attr({"tirx.is_scheduled": True})
        n, at = T.arg("n", T.int64()), T.arg("x", T.handle("int64"))
        call_internal(INNER, [n, at])
        call_internal(INNER, [n, at])
    return builder.get()


def _units(factor: int) -> list[Any]:
    main = tensor_main("main", ("n",), [("x", None, "int64")], "outer")
    outer = {"main": main, symbol_of("outer"): as_internal("outer", _outer())}
    inner = {symbol_of(INNER): as_internal(INNER, _inner(factor))}
    return [
        tvm.IRModule({tvm.ir.GlobalVar(name): f for name, f in functions.items()})
        for functions in (outer, inner)
    ]


def _library(factor: int, path: Path) -> Any:
    path.write_bytes(link(find_linker(HOST), units.compile_units(_units(factor), HOST)))
    return tvm_ffi.load_module(str(path))


def test_functions_call_those_of_other_units_of_their_own_library(
    tmp_path: Path, compiled: list[Any]
) -> None:
    libraries = {factor: _library(factor, tmp_path / f"{factor}.so") for factor in (3, 5)}
    for factor, library in libraries.items():
        x = aligned_empty(4, "int64")
        x[:] = range(4)
        library["main"](3, tvm_ffi.from_dlpack(x))
        assert x.tolist() == [0, factor**2, 2 * factor**2, 3]
    assert len(compiled) == 3  # the outer one is the same


def test_only_what_the_runtime_looks_up_is_visible(tmp_path: Path) -> None:
    _library(3, tmp_path / "m.so")
    data = (tmp_path / "m.so").read_bytes()
    assert b"\0__tvm_ffi_main\0" in data
    assert symbol_of(INNER).encode() not in data


def test_a_unit_is_compiled_once_for_a_target(compiled: list[Any]) -> None:
    first = units.compile_units(_units(3), HOST)
    assert units.compile_units(_units(3), HOST) == first
    assert len(compiled) == 2
    other = resolve_target("x86-64-v2" if HOST.name != "x86-64-v2" else "x86-64-v3")
    units.compile_units(_units(3), other)
    assert len(compiled) == 4


def test_the_oldest_is_forgotten(compiled: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(units, "_KEPT", 2)
    for factor in (3, 5, 3, 7, 3, 5):
        units.compile_units([_units(factor)[1]], HOST)
    assert len(compiled) == 4


def test_one_bad_unit_fails_the_build(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(module: Any, target: Any) -> Any:
        raise RuntimeError("no such instruction")

    monkeypatch.setattr(units, "_compiled", units._Compiled())
    monkeypatch.setattr(units, "compile_module", fail)
    with pytest.raises(ToolchainError, match=f"compiling for {HOST.name} failed: no such instr"):
        units.compile_units(_units(3), HOST)


@pytest.mark.slow
def test_a_second_build_compiles_what_differs(tmp_path: Path, compiled: list[Any]) -> None:
    model = small_ranking_model(tmp_path, "user_id", "tags", "item_id")
    options = rtcompile.BuildOptions(features=model.features, embeddings=model.embeddings)
    whole = [tmp_path / "1.rtc", tmp_path / "2.rtc", tmp_path / "3.rtc"]
    rtcompile.build(model.onnx, options, output=whole[0])
    first = len(compiled)
    rtcompile.build(model.onnx, options, output=whole[1])
    assert len(compiled) == first
    assert read_artifact(whole[0]).module == read_artifact(whole[1]).module
    rtcompile.build(two_input_model(tmp_path / "m.onnx"), output=whole[2])
    assert len(compiled) > first
    x = {"X": np.ones((2, 5), np.float32), "ids": np.zeros(2, np.int64)}
    assert runtime.load(whole[2]).predict(x)["Y"].shape == (2, 1)
