from __future__ import annotations

import numpy as np
import pytest
import tvm
from hypothesis import given
from hypothesis import strategies as st
from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T  # noqa: N812

from rtcompile.codegen.kernels.dense import dense_kernel
from rtcompile.codegen.kernels.dense_shape import DenseShape
from rtcompile.codegen.kernels.panels import pack_columns, pack_weight, panels
from rtcompile.codegen.library.compile_units import compile_module
from rtcompile.relay_passes.dialect.epilogue import Epilogue
from rtcompile.targets import TARGETS, CpuTarget


@given(columns=st.integers(1, 700), target=st.sampled_from(list(TARGETS.values())))
def test_panels_cover_every_column_once(columns: int, target: CpuTarget) -> None:
    cut = panels(columns, target.registers)
    covered = [c for panel in cut for c in range(panel.start, panel.start + panel.valid)]
    assert covered == list(range(columns))
    assert all(panel.valid == panel.width for panel in cut[:-1])
    widest = target.registers.widest_panel()
    assert all(8 <= panel.width <= widest and 1 <= panel.rows <= 6 for panel in cut)


@given(depth=st.integers(1, 9), columns=st.integers(1, 150))
def test_packed_weights_give_the_same_product(depth: int, columns: int) -> None:
    rng = np.random.default_rng(depth * 1000 + columns)
    weight = rng.normal(size=(depth, columns)).astype(np.float32)
    bias = rng.normal(size=columns).astype(np.float32)
    x = rng.normal(size=depth).astype(np.float32)
    cut = panels(columns, TARGETS["x86-64-v4"].registers)
    packed, padded, at, got = pack_weight(weight, cut), pack_columns(bias, cut), 0, []
    for panel in cut:
        block = packed[at : at + depth * panel.width].reshape(depth, panel.width)
        row = padded[panel.start : panel.start + panel.width]
        got.append((x @ block + row)[: panel.valid])
        at += depth * panel.width
    np.testing.assert_allclose(np.concatenate(got), x @ weight + bias, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("steps", ["maximum acc -1.0", "minimum acc 6.0", "maximum acc 0.0"])
def test_a_bound_that_keeps_nan_is_one_instruction(steps: str) -> None:
    """With AVX-512 a vector is bounded by `vmaxps` or `vminps` alone, in each place of the code."""
    target, private = TARGETS["x86-64-v4"], tvm.ir.GlobalVar("kernel")
    kernel = dense_kernel(DenseShape(16, 16, Epilogue.parse(steps)), target.registers)
    with IRBuilder() as builder, T.prim_func(s_tir=True):
        T.func_name("run")
        T.func_attr({"global_symbol": "run", "tirx.is_scheduled": True})
        buffers = [
            T.arg(f"a{i}", T.buffer((tirx.Var(f"n{i}", "int64"),), "float32"))
            for i in range(len(kernel.params) - 1)
        ]
        rows = T.arg("rows", T.int64())
        arguments = [*(buffer.data for buffer in buffers), rows]
        T.evaluate(tvm.ir.Call(private, arguments, ret_ty=kernel.ret_type))
    module = tvm.IRModule({private: kernel, tvm.ir.GlobalVar("run"): builder.get()})
    assembly = compile_module(module, target).inspect_source("asm")
    assert ("vmaxps" if "maximum" in steps else "vminps") in assembly
    assert "vcmp" not in assembly
