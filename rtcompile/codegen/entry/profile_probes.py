"""Probes of a profiled build: how long each step of a stage takes, in ticks of the CPU's counter.

    before = counter()
    kernel(...)                       # or a loop of calls
    status[first + 2 * step] += counter() - before
    status[first + 1 + 2 * step] += 1      # how often it ran

The words stand behind those of the status, so a running call has its own. A build without probes
has none of this. The counter: on x86-64 the time stamp counter, which runs at one rate whatever the
core's clock is; on aarch64 the generic timer (cntvct_el0, often 24 to 100 million ticks a second),
since a user's process may not read the cycle counter there: a short kernel then shows only in sums
over many calls. `counter(words)`, a function of the module, writes the counter to words[0]; from it
the runtime learns how long a tick is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit.structs import Struct
from rtcompile.codegen.program.program import CallLoop, StageProgram
from rtcompile.errors import UnsupportedError
from rtcompile.runtime.abi.status import Probe

__all__ = ["COUNTER", "add_probes", "counter_function", "emit_probed", "status_words"]

COUNTER = "counter"  # the function's name in the module

# LLVM reads the one that a user's process may read.
_INTRINSIC, _MACHINES = "llvm.readcyclecounter", ("x86_64", "aarch64")


def add_probes(program: StageProgram, machine: str) -> list[dict[str, Any]]:
    """Have `program` count, and say of each step which kernel it calls, and how often a run.

    Raises UnsupportedError for a machine whose counter is not known.
    """
    if machine not in _MACHINES:
        raise UnsupportedError(f"profile: no counter is known for {machine}")
    program.counter = _INTRINSIC
    found = []
    for step in [*program.prologue, *program.calls]:
        forms, count = (step.forms, step.count) if isinstance(step, CallLoop) else ((step,), 1)
        kernels = dict.fromkeys(form.kernel for form in forms)
        found.append({"kernel": " + ".join(kernels), "calls": count * len(forms)})
    return found


def status_words(program: StageProgram) -> int:
    """Words of the status, and of what a calibrating or profiled program has behind it."""
    steps = len(program.prologue) + len(program.calls) if program.counter else 0
    return program.probes_from + Probe.WORDS * steps


def emit_probed(program: StageProgram, status: Any, step: int, emit: Callable[[], None]) -> None:
    """Emit a step; between two readings of the counter where the program is profiled."""
    if not program.counter:
        emit()
        return
    first = program.probes_from + Probe.WORDS * step
    probe = Struct(Probe, status, first)
    before = T.Bind(_read(program.counter))
    emit()
    ticks = T.Bind(_read(program.counter) - before)
    probe[Probe.TICKS] = probe[Probe.TICKS] + ticks
    probe[Probe.RUNS] = probe[Probe.RUNS] + tirx.const(1, "int64")


def counter_function(intrinsic: str) -> Any:
    """The PrimFunc `counter(words)`."""
    with IRBuilder() as builder, T.prim_func(s_tir=True):
        T.func_name(COUNTER)
        T.func_attr({"global_symbol": COUNTER, "tirx.is_scheduled": True, "s_tir": True})
        words = T.arg("words", T.buffer((1,), "int64"))
        T.buffer_store(words, _read(intrinsic), [0])
    return builder.get()


def _read(intrinsic: str) -> Any:
    return tirx.call_llvm_intrin("int64", intrinsic)
