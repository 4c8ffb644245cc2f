"""Roll runs of calls of one kernel into loops over a table of places.

    k(&w[0], &x[0], rows)            for c in range(3):
    k(&w[512], &x[64], rows)   ->        k(&w[places[c, 0]], &x[places[c, 1]], rows)
    k(&w[1024], &x[128], rows)

A model with hundreds of equal small operators keeps a main function of a few lines. Without it LLVM
copies each kernel into each call, and spends minutes and gigabytes on telling their pointers
apart.
"""

from __future__ import annotations

from itertools import groupby

import numpy as np

from rtcompile.codegen.constants import ConstantStore
from rtcompile.codegen.program import CallLoop, KernelCall, StageProgram

__all__ = ["SHORTEST_LOOP", "loop_calls"]

# Shorter runs stay straight: a direct call needs no loads of places.
SHORTEST_LOOP = 3


def loop_calls(program: StageProgram, constants: ConstantStore) -> None:
    """Replace runs of calls. The tables go to `constants`, as int64 [calls, columns]."""
    program.calls = _looped(program.calls, constants)
    program.prologue = _looped(program.prologue, constants)


def _looped(
    given: list[KernelCall | CallLoop], constants: ConstantStore
) -> list[KernelCall | CallLoop]:
    steps: list[KernelCall | CallLoop] = []
    for _, run in groupby(given, key=_form):
        calls = [call for call in run if isinstance(call, KernelCall)]
        if len(calls) < SHORTEST_LOOP:
            steps.extend(calls)
            continue
        places = [[p.offset for p in call.pointers] + list(call.scalars) for call in calls]
        table = constants.add(np.array(places, np.int64))
        steps.append(CallLoop(calls[0], table.offset, len(calls)))
    return steps


def _form(call: KernelCall | CallLoop) -> object:
    """What calls must have in common to share a loop."""
    if isinstance(call, CallLoop):
        return id(call)
    arenas = tuple((pointer.space, pointer.index) for pointer in call.pointers)
    return (call.kernel, arenas, call.rows_factor, len(call.scalars), call.with_start)
