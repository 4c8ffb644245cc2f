"""Compile the stages into one shared library that needs libc, libm and libtvm_ffi only.

LLVM writes an object file for any machine; `link.py` makes it a library.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import tvm

from rtcompile.codegen.features.encode_values import ENCODE_VALUES, encode_main, encode_values
from rtcompile.codegen.features.item_index import LOOK_UP_ITEMS, item_index_main, look_up_items
from rtcompile.codegen.link import find_linker, link
from rtcompile.codegen.probes import COUNTER, counter_function
from rtcompile.codegen.program import StageProgram
from rtcompile.codegen.python_turn import turn_llvm
from rtcompile.codegen.serve import serve_function, served_stages
from rtcompile.codegen.stage_main import stage_main, stage_rows, stage_rows_name
from rtcompile.codegen.tir_pipeline import PIPELINE
from rtcompile.codegen.wrapping import with_wrapping
from rtcompile.codegen.write_objects import OBJECTS_LLVM, write_function
from rtcompile.errors import ToolchainError
from rtcompile.targets import CpuTarget
from runtime.item_index_plan import ITEM_INDEX
from runtime.serve_plan import SERVE
from runtime.value_bytes import WRITE
from runtime.value_plan import ENCODE

__all__ = ["compile_module", "compile_stages", "stages_to_module"]


def stages_to_module(stages: list[StageProgram], constants_bytes: int, machine: str) -> Any:
    """One IRModule: every kernel once, a main function a stage, what reads and encodes the raw
    values of stages, finds items and serves a request, the counter of a profiled build."""
    more = "".join(sorted({text for stage in stages for text in stage.llvm}))
    more += turn_llvm(machine) + OBJECTS_LLVM
    functions: dict[str, Any] = {}
    module: dict[Any, Any] = {}

    def add_private(name: str, function: Any) -> tuple[Any, Any]:
        global_var = tvm.ir.GlobalVar(name)
        module[global_var] = function
        return global_var, function.ret_type

    rows: dict[str, tuple[Any, Any]] = {}
    for stage in stages:
        for name, kernel in stage.kernels.items():
            if name not in functions:
                functions[name] = add_private(name, kernel)
        name = stage_rows_name(stage.name)
        rows[stage.name] = add_private(name, stage_rows(stage, functions, constants_bytes))
        main = stage_main(stage, rows[stage.name], constants_bytes)
        module[tvm.ir.GlobalVar(stage.name)] = (
            with_wrapping(main, more) if stage is stages[0] else main
        )
    if any(stage.reads_columns for stage in stages):
        values = add_private(ENCODE_VALUES, encode_values())
        module[tvm.ir.GlobalVar(ENCODE)] = encode_main(values)
        module[tvm.ir.GlobalVar(WRITE)] = write_function()
        look_up = add_private(LOOK_UP_ITEMS, look_up_items())
        module[tvm.ir.GlobalVar(ITEM_INDEX)] = item_index_main(look_up)
        served = [(stage, rows[stage.name]) for stage in served_stages(stages)]
        if served:
            module[tvm.ir.GlobalVar(SERVE)] = serve_function(values, look_up, served)
    counters = {stage.counter for stage in stages if stage.counter}
    for intrinsic in counters:
        module[tvm.ir.GlobalVar(COUNTER)] = counter_function(intrinsic)
    return tvm.IRModule(module)


def compile_module(module: Any, target: CpuTarget) -> Any:
    """The compiled functions, as a runtime module."""
    return tvm.compile(module, target=target.tvm_target(), tir_pipeline=PIPELINE).mod


def compile_stages(stages: list[StageProgram], constants_bytes: int, target: CpuTarget) -> bytes:
    """The shared library's bytes. Raises ToolchainError."""
    linker = find_linker(target)
    module = stages_to_module(stages, constants_bytes, target.machine)
    with tempfile.TemporaryDirectory(prefix="rtcompile-") as folder:
        compiled = Path(folder) / "module.o"
        try:
            compile_module(module, target).write_to_file(str(compiled), "o")
        except (RuntimeError, ValueError, TypeError, OSError) as error:
            raise ToolchainError(f"compiling for {target.name} failed: {error}") from error
        return link(linker, compiled)
