"""Build a trial's kernel into a library that runs it on data of its own.

    def trial(counts, arrays...):
        for rows in counts:  kernel(&arrays[0][0], ..., rows, scalars...)

`counts` is memory, so that no run can be left out as a repetition of the one before.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tvm
from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T  # noqa: N812

from rtcompile.codegen.emit.llvm_helpers import with_wrapping
from rtcompile.codegen.library.compile_units import compile_units
from rtcompile.codegen.library.link import find_linker, link
from rtcompile.codegen.program.trials import Trial
from rtcompile.errors import TuningError
from rtcompile.targets import resolve_target
from rtcompile.tuning.measurable import Measurable
from rtcompile.tuning.tuned.kernels import KERNELS
from rtcompile.tuning.tuned.kernels.base import Case, runs_of

__all__ = ["default_of", "measurable", "prepare"]

_ENTRY = "trial"


def prepare(trial: Trial, target: str) -> Measurable:
    """The trial's kernel, compiled for `target`. Raises ToolchainError, TuningError."""
    kernel = KERNELS.get(trial.task.kernel)
    if kernel is None:
        raise TuningError(f"kernel {trial.task.kernel!r} is not known")
    registers = resolve_target(target).registers
    case = kernel.case(trial.task, trial.values, registers)
    return measurable(case, runs_of(kernel, trial.task), target)


def default_of(trial: Trial, target: str) -> Trial | None:
    """The default of the trial's task; None where it is that, or where its kernel is not known."""
    kernel = KERNELS.get(trial.task.kernel)
    if kernel is None:
        return None
    config = kernel.configs(trial.task, resolve_target(target).registers)[0]
    default = Trial.of(trial.task, config)
    return None if default == trial else default


def measurable(case: Case, runs: int, target: str) -> Measurable:
    """A case as a library, of which a call does so many runs. Raises ToolchainError."""
    cpu = resolve_target(target)
    counts = np.array(case.counts * runs, np.int64)
    flat = tuple(np.ascontiguousarray(array).reshape(-1) for array in case.arrays)
    library = link(find_linker(cpu), compile_units([_module(case, len(counts))], cpu))
    expected = {1 + case.result: case.expected.reshape(-1)}
    return Measurable(library, _ENTRY, (counts, *flat), expected, case.tolerance)


def _module(case: Case, calls: int) -> Any:
    kernel = tvm.ir.GlobalVar("kernel")
    with IRBuilder() as builder, T.prim_func(s_tir=True):
        T.func_name(_ENTRY)
        T.func_attr(
            {
                "global_symbol": _ENTRY,
                "tirx.is_scheduled": True,
                "tirx.noalias": True,
                "s_tir": True,
            }
        )
        counts = T.arg("counts", T.buffer((calls,), "int64"))
        buffers = [
            T.arg(f"a{index}", T.buffer((array.size,), str(array.dtype)))
            for index, array in enumerate(case.arrays)
        ]
        with T.serial(calls) as run:
            which = tirx.floordiv(run, len(case.counts))
            pointers = [
                T.address_of(buffer[which * case.steps.get(index, 0)])
                for index, buffer in enumerate(buffers)
            ]
            scalars = [tirx.const(scalar, "int64") for scalar in case.scalars]
            arguments = [*pointers, counts[run], *scalars]
            T.evaluate(tvm.ir.Call(kernel, arguments, ret_ty=case.function.ret_type))
    main = with_wrapping(builder.get(), case.llvm)
    return tvm.IRModule({kernel: case.function, tvm.ir.GlobalVar(_ENTRY): main})
