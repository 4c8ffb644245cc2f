"""Run one private kernel on numpy arrays: it is compiled with a public function around it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tvm
import tvm_ffi
from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T  # noqa: N812

from rtcompile.codegen.library.compile_units import compile_module
from rtcompile.runtime.memory.arrays import aligned_empty
from rtcompile.targets import resolve_target

__all__ = ["compiled"]


def compiled(kernel: Any, dtypes: Sequence[str], llvm: str = "") -> Callable[..., None]:
    """A function of one array for each of `dtypes`, then of the kernel's integers.

    `llvm`: text that the kernel calls functions of. Arrays are written in place.
    """
    integers, private = len(kernel.params) - len(dtypes), tvm.ir.GlobalVar("kernel")
    with IRBuilder() as builder, T.prim_func(s_tir=True):
        T.func_name("run")
        T.func_attr({"global_symbol": "run", "tirx.is_scheduled": True})
        buffers = [
            T.arg(f"a{i}", T.buffer((tirx.Var(f"n{i}", "int64"),), dtype))
            for i, dtype in enumerate(dtypes)
        ]
        numbers = [T.arg(f"i{i}", T.int64()) for i in range(integers)]
        arguments = [*(buffer.data for buffer in buffers), *numbers]
        T.evaluate(tvm.ir.Call(private, arguments, ret_ty=kernel.ret_type))
    run = builder.get()
    if llvm:
        text = tvm.ir.StringImm(llvm)
        body = tirx.AttrStmt(tirx.const(0, "int32"), "pragma_import_llvm", text, run.body)
        run = run.with_body(body)
    module = tvm.IRModule({private: kernel, tvm.ir.GlobalVar("run"): run})
    function = compile_module(module, resolve_target("host"))["run"]

    def call(*given: Any) -> None:
        arrays, numbers = given[: len(dtypes)], given[len(dtypes) :]
        copies = [_aligned(array, dtype) for array, dtype in zip(arrays, dtypes, strict=True)]
        function(*map(tvm_ffi.from_dlpack, copies), *numbers)
        for array, copy in zip(arrays, copies, strict=True):
            array.reshape(-1).view(copy.dtype)[:] = copy

    return call


def _aligned(array: npt.NDArray[Any], dtype: str) -> npt.NDArray[Any]:
    flat = np.ascontiguousarray(array).reshape(-1).view(dtype)
    copy = aligned_empty(max(flat.nbytes, 64), "uint8")[: flat.nbytes].view(dtype)
    copy[:] = flat
    return copy
