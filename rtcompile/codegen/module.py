"""Compile the stages into one shared library that needs libc, libm and libtvm_ffi only."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import tvm

from rtcompile.codegen.program import StageProgram
from rtcompile.codegen.stage_main import stage_main
from rtcompile.codegen.wrapping import with_wrapping
from rtcompile.errors import ToolchainError
from rtcompile.targets import CpuTarget

__all__ = ["compile_stages", "stages_to_module"]


def stages_to_module(stages: list[StageProgram], constants_bytes: int) -> Any:
    """One IRModule: every kernel once, and a main function a stage."""
    functions: dict[str, Any] = {}
    module: dict[Any, Any] = {}
    for stage in stages:
        for name, kernel in stage.kernels.items():
            if name not in functions:
                global_var = tvm.ir.GlobalVar(name)
                functions[name] = (global_var, kernel.ret_type)
                module[global_var] = kernel
        main = stage_main(stage, functions, constants_bytes)
        module[tvm.ir.GlobalVar(stage.name)] = with_wrapping(main) if stage is stages[0] else main
    return tvm.IRModule(module)


def compile_stages(stages: list[StageProgram], constants_bytes: int, target: CpuTarget) -> bytes:
    """The shared library's bytes."""
    module = stages_to_module(stages, constants_bytes)
    with tempfile.TemporaryDirectory(prefix="rtcompile-") as folder:
        path = Path(folder) / "module.so"
        try:
            executable = tvm.compile(module, target=target.tvm_target())
            executable.export_library(str(path), options=["-lm", "-Wl,-s"])
        except (RuntimeError, ValueError, TypeError, OSError) as error:
            raise ToolchainError(f"compiling for {target.name} failed: {error}") from error
        return path.read_bytes()
