"""Small candidates for the runners' tests, well-behaved and planted bad ones."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import tvm
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T  # noqa: N812

from rtcompile.codegen.library.link import find_linker, link
from rtcompile.codegen.program.trials import Task, Trial
from rtcompile.errors import ToolchainError
from rtcompile.targets import resolve_target
from rtcompile.tuning.measurable import Measurable

_N = 1000


def task(value: int) -> Task:
    """Adds `value` to a thousand numbers."""
    return Task.of("add", 1, {"value": value})


def trial(value: int, behaviour: str = "good", form: int = 0) -> Trial:
    return Trial.of(task(value), {"behaviour": _BEHAVIOURS.index(behaviour), "form": form})


def default(trial: Trial, target: str) -> Trial | None:
    """The form 0 that behaves."""
    found = Trial.of(trial.task, {"behaviour": 0, "form": 0})
    return None if trial == found else found


_BEHAVIOURS = ("good", "wrong", "crash", "loop", "unbuildable", "compiler-crash")


def prepare(trial: Trial, target: str) -> Measurable:
    """The candidate, built; behaves as its config says."""
    behaviour = _BEHAVIOURS[trial.values["behaviour"]]
    if behaviour == "unbuildable":
        raise ToolchainError("planted")
    if behaviour == "compiler-crash":
        import os

        os.abort()
    value = float(trial.task.values["value"])
    x = np.arange(_N, dtype=np.float32)
    with tempfile.TemporaryDirectory() as folder:
        compiled = Path(folder) / "candidate.o"
        module = tvm.IRModule({tvm.ir.GlobalVar("add"): _kernel(value, behaviour)})
        cpu = resolve_target(target)
        tvm.compile(module, target=cpu.tvm_target()).mod.write_to_file(str(compiled), "o")
        library = link(find_linker(cpu), [compiled.read_bytes()])
    return Measurable(library, "add", (x, np.zeros_like(x)), {1: x + np.float32(value)}, 1e-6)


def _kernel(value: float, behaviour: str) -> object:
    with IRBuilder() as builder, T.prim_func(s_tir=True):
        T.func_name("add")
        T.func_attr({"global_symbol": "add", "tirx.is_scheduled": True})
        x = T.arg("x", T.buffer((_N,), "float32"))
        y = T.arg("y", T.buffer((_N,), "float32"))
        if behaviour in {"crash", "loop"}:
            T.evaluate(T.call_extern("int32", {"crash": "abort", "loop": "pause"}[behaviour]))
        added = value + (1 if behaviour == "wrong" else 0)
        with T.serial(_N) as i:
            T.buffer_store(y, x[i] + T.float32(added), [i])
    return builder.get()
