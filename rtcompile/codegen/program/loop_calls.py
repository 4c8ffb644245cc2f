"""Roll runs of equal calls into loops over a table of places.

    k(&w[0], &x[0], rows)            for c in range(3):
    k(&w[512], &x[64], rows)   ->        k(&w[places[c, 0]], &x[places[c, 1]], rows)
    k(&w[1024], &x[128], rows)

A run may be of several calls over and over, as a recurrent cell is that an exporter unrolled:

    a(..), b(..), a(..), b(..), a(..), b(..)   ->   for c in range(3): a(..), b(..)

A model with hundreds of equal small operators keeps a main function of a few lines. Without it LLVM
copies each kernel into each call, and spends minutes and gigabytes on telling their pointers
apart.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rtcompile.codegen.program.constants import ConstantStore
from rtcompile.codegen.program.program import CallLoop, KernelCall, StageProgram

__all__ = ["LONGEST_PERIOD", "SHORTEST_LOOP", "loop_calls"]

# Shorter runs stay straight: a direct call needs no loads of places.
SHORTEST_LOOP = 3

# Calls that repeat together.
LONGEST_PERIOD = 64


def loop_calls(program: StageProgram, constants: ConstantStore) -> None:
    """Replace runs of calls. The tables go to `constants`, as int64 [runs, columns]."""
    program.calls = _looped(program.calls, constants)
    program.prologue = _looped(program.prologue, constants)


def _looped(
    given: list[KernelCall | CallLoop], constants: ConstantStore
) -> list[KernelCall | CallLoop]:
    repeats = _repeats([_form(call) for call in given])
    steps: list[KernelCall | CallLoop] = []
    at = 0
    while at < len(given):
        # The longest run from here on, of as few calls as can be.
        runs = [(int(repeats[period, at]) + 1, period + 1) for period in range(len(repeats))]
        count, period = max(runs, key=lambda run: (_covered(*run), -run[1]), default=(1, 1))
        if _covered(count, period) < SHORTEST_LOOP:
            steps.append(given[at])
            at += 1
            continue
        steps.append(_loop(given[at : at + count * period], period, constants))
        at += count * period
    return steps


def _covered(count: int, period: int) -> int:
    """How many calls a loop takes the place of; one where it is no loop."""
    return count * period if count >= SHORTEST_LOOP else 1


def _loop(run: Sequence[KernelCall | CallLoop], period: int, constants: ConstantStore) -> CallLoop:
    calls = [call for call in run if isinstance(call, KernelCall)]
    places = [place for call in calls for place in (*_offsets(call), *call.scalars)]
    table = constants.add(np.array(places, np.int64).reshape(len(calls) // period, -1))
    return CallLoop(tuple(calls[:period]), table.offset, len(calls) // period)


def _offsets(call: KernelCall) -> list[int]:
    return [pointer.offset for pointer in call.pointers]


def _repeats(forms: Sequence[object]) -> npt.NDArray[np.int64]:
    """[period - 1, call]: how often the calls from this one on, `period` of them, come again."""
    numbers: dict[object, int] = {}
    ids = np.array([numbers.setdefault(form, len(numbers)) for form in forms], np.int64)
    longest = min(LONGEST_PERIOD, max(len(ids) - 1, 0))
    found = np.zeros((longest, len(ids)), np.int64)
    for period in range(1, longest + 1):
        same = ids[:-period] == ids[period:]
        # How many calls in a row are the same as the one a period later.
        ends = np.append(np.flatnonzero(~same), len(same))
        starts = np.arange(len(same))
        found[period - 1, : len(same)] = (ends[np.searchsorted(ends, starts)] - starts) // period
    return found


def _form(call: KernelCall | CallLoop) -> object:
    """What calls must have in common to share a loop."""
    if isinstance(call, CallLoop):
        return id(call)
    arenas = tuple((pointer.space, pointer.index) for pointer in call.pointers)
    flags = (call.with_start, call.whole, call.by_length, call.takes_length)
    return (call.kernel, arenas, call.rows_factor, len(call.scalars), *flags)
