"""Targets: the blocks that their registers hold, and what LLVM makes of them."""

from __future__ import annotations

import importlib.util
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import tvm
from tvm import te, tirx

from rtcompile.codegen.emit.llvm_helpers import with_wrapping
from rtcompile.codegen.kernels.dense import default_dense, dense_kernel, dense_panels
from rtcompile.codegen.kernels.dense_bf16 import dense_bf16_kernel
from rtcompile.codegen.kernels.dense_int8 import Int8Shape, dense_int8_kernel
from rtcompile.codegen.kernels.dense_shape import DenseShape
from rtcompile.codegen.kernels.dot_bf16 import DOT_BF16_LLVM
from rtcompile.codegen.kernels.k_blocks import are_far
from rtcompile.codegen.library.compile_units import compile_module
from rtcompile.codegen.library.link import find_linker, link
from rtcompile.codegen.lowering.generic import lower_generic
from rtcompile.codegen.program.program import TILE
from rtcompile.errors import ToolchainError, UnsupportedError
from rtcompile.relay_passes.dialect.epilogue import Epilogue
from rtcompile.targets import TARGETS, CpuTarget, resolve_target, runs_here

# A product of whole registers, fused with its sum where the target can.
_PRODUCTS = {
    "x86-64-v2": r"mulps\s+.*%xmm\d+$",
    "x86-64-v3": r"vfmadd\w+ps\s+.*%ymm\d+$",
    "x86-64-v4": r"vfmadd\w+ps\s+.*%zmm\d+$",
    "x86-64-v4-vnni": r"vfmadd\w+ps\s+.*%zmm\d+$",
    "x86-64-v4-bf16": r"vfmadd\w+ps\s+.*%zmm\d+$",
    "aarch64-generic": r"fmla\s+v\d+\.4s,",
    "aarch64-neoverse-n1": r"fmla\s+v\d+\.4s,",
    "aarch64-neoverse-v1": r"fmla\s+v\d+\.4s,",
}
_ANY_PRODUCT = re.compile("vfmadd|fmla|mulps|dpbusd|sdot|dpbf16")
# Vectors between registers and the stack, and parts of vectors between registers.
_MOVED = re.compile(r"\(%rsp\).*[xyz]mm|[xyz]mm.*\(%rsp\)|\bq\d+.*\[sp|vinsert|vextract")
_TARGETS = pytest.mark.parametrize("target", TARGETS.values(), ids=lambda target: target.name)


@pytest.mark.parametrize(
    ("name", "columns", "rows"),
    [
        ("x86-64-v2", 8, 6),
        ("x86-64-v3", 16, 6),
        ("x86-64-v4", 64, 6),
        ("aarch64-neoverse-n1", 16, 6),
    ],
)
def test_a_block_fills_the_registers(name: str, columns: int, rows: int) -> None:
    registers = TARGETS[name].registers
    assert registers.widest_panel() == columns
    assert registers.block_rows(columns) == rows


def _loops(assembly: str) -> list[list[str]]:
    """Instructions of every loop of one basic block."""
    found, label, body = [], "", []
    for line in map(str.strip, assembly.splitlines()):
        if re.match(r"\.LBB\w+:", line):
            label, body = line.split(":")[0], []
        elif line and not line.startswith("."):
            body.append(line)
            if label and re.fullmatch(rf"(j|b)[a-z.]*\s+{re.escape(label)}", line):
                found.append(body)
                label, body = "", []
    return found


def _assembly(kernel: Any, target: CpuTarget) -> str:
    module = tvm.IRModule({"kernel": kernel.with_attr("global_symbol", "kernel")})
    return str(compile_module(module, target).inspect_source("asm"))


@pytest.mark.slow
@_TARGETS
@pytest.mark.parametrize(
    "shape",
    [
        DenseShape(512, 128, Epilogue.parse("maximum acc 0.0")),
        DenseShape(180, 36, Epilogue.parse("add acc each:0; add s0 div8:1; maximum s1 0.0")),
    ],
    ids=lambda shape: shape.name,
)
def test_the_inner_loop_multiplies_whole_registers_and_moves_none(
    target: CpuTarget, shape: DenseShape
) -> None:
    registers = target.registers
    assembly = _assembly(dense_kernel(shape, registers), target)
    product = re.compile(_PRODUCTS[target.name])
    counts = {}
    for number, loop in enumerate(_loops(assembly)):
        counts[number] = sum(bool(product.match(line)) for line in loop)
        if any(_ANY_PRODUCT.match(line) for line in loop):
            assert not [line for line in loop if _MOVED.search(line)], loop
    far = are_far(shape.weight_bytes)
    cut = dense_panels(shape.columns, registers, default_dense(registers, TILE, far))
    sums = max(panel.rows * panel.width for panel in cut)
    assert max(counts.values()) == sums * 32 // registers.bits
    assert ("prefetch" in assembly or "prfm" in assembly) == (far and registers.fused)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "product"),
    [
        ("x86-64-v4-vnni", r"vpdpbusd\s+.*%zmm\d+$"),
        ("x86-64-v4-bf16", r"vpdpbusd\s+.*%zmm\d+$"),
        ("aarch64-neoverse-n1", r"sdot\s+v\d+\.4s,"),
    ],
)
def test_an_int8_loop_multiplies_whole_registers_of_bytes(name: str, product: str) -> None:
    target, shape = TARGETS[name], DenseShape(512, 128, Epilogue.parse("maximum acc 0.0"))
    kernel = dense_int8_kernel(Int8Shape(shape), target.registers)
    _assert_inner_loop(_assembly(kernel, target), product, target)


def test_a_bf16_loop_multiplies_whole_registers_of_pairs() -> None:
    target, shape = TARGETS["x86-64-v4-bf16"], DenseShape(512, 128, Epilogue())
    kernel = with_wrapping(dense_bf16_kernel(shape, target.registers), DOT_BF16_LLVM)
    _assert_inner_loop(_assembly(kernel, target), r"vdpbf16ps\s+.*%zmm\d+$", target)


def _assert_inner_loop(assembly: str, product: str, target: CpuTarget) -> None:
    """The widest block's products are in one loop, all in registers."""
    counts = []
    for loop in _loops(assembly):
        counts.append(sum(bool(re.match(product, line)) for line in loop))
        if any(_ANY_PRODUCT.match(line) for line in loop):
            assert not [line for line in loop if _MOVED.search(line)], loop
    columns = target.registers.widest_panel()
    assert max(counts) == 6 * columns * 32 // target.registers.bits


@_TARGETS
def test_what_goes_column_by_column_neither_gathers_nor_scatters(target: CpuTarget) -> None:
    rows = tirx.Var("rows", "int64")
    x = te.placeholder((rows, 32), "float32", name="x")
    w = te.placeholder((32,), "float32", name="w")
    y = te.compute((rows, 32), lambda i, j: x[i, j] * w[j], name="y")
    assembly = _assembly(lower_generic(te.create_prim_func([x, w, y]), "kernel").function, target)
    assert "mul" in assembly
    assert not re.search("gather|scatter", assembly)


@_TARGETS
def test_host_is_among_what_runs_here(target: CpuTarget) -> None:
    host = resolve_target("host")
    assert runs_here(host)
    if target.machine == host.machine and runs_here(target):
        assert set(target.features) <= set(host.features)


def test_an_unknown_target_is_refused_with_a_near_name() -> None:
    with pytest.raises(UnsupportedError, match="did you mean 'aarch64-neoverse-n1'"):
        resolve_target("aarch64-neoverse-n2")


@_TARGETS
def test_no_linker_is_an_error_that_says_what_to_install(
    target: CpuTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ToolchainError, match=r"install gcc.*rtcompile\[cross\]"):
        find_linker(target)


def test_a_linker_of_the_target_comes_before_ziglang(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    assert find_linker(TARGETS["aarch64-generic"]) == ("/bin/aarch64-linux-gnu-gcc",)
    assert find_linker(TARGETS["x86-64-v2"]) == ("/bin/gcc",)


def test_a_linker_that_fails_is_quoted(tmp_path: Path) -> None:
    broken = [b"no object file"]
    with pytest.raises(ToolchainError, match=r"linking failed: .*0\.o"):
        link(find_linker(resolve_target("host")), broken)
    with pytest.raises(ToolchainError, match="cannot be started"):
        link((str(tmp_path / "nothing"),), broken)
