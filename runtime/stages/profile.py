"""Where the time of requests goes: what an artifact that was built with `profile` counts.

Each running call of a stage counts in the status words of its own workspace, behind the status:
two words a step, ticks of the CPU's counter and how often the step ran.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt

from rtcompile.runtime.abi.status import Probe
from rtcompile.runtime.encoding.encode_values import CompiledEncoder
from rtcompile.runtime.ffi import tvm_ffi
from rtcompile.runtime.memory.arrays import aligned_empty

__all__ = ["KernelTime", "Profile", "Stopwatch", "TimedEncoder", "nanoseconds_a_tick", "step_times"]

_P = ParamSpec("_P")
_T = TypeVar("_T")

_CALIBRATION = 0.02  # seconds


@dataclass(frozen=True)
class KernelTime:
    """`calls` of a kernel in one stage, and the `nanoseconds` that they took in all."""

    stage: str
    kernel: str
    calls: int
    nanoseconds: float


@dataclass(frozen=True)
class Profile:
    """Since the profile before. `encoding`: side -> nanoseconds of encoding its raw columns."""

    kernels: tuple[KernelTime, ...]
    encoding: Mapping[str, float]


class Stopwatch:
    """Adds up the nanoseconds spent in functions. Nested calls count twice."""

    def __init__(self) -> None:
        self._nanoseconds = 0

    def timed(self, function: Callable[_P, _T]) -> Callable[_P, _T]:
        """`function`, timed."""

        def call(*arguments: _P.args, **named: _P.kwargs) -> _T:
            begin = time.perf_counter_ns()
            try:
                return function(*arguments, **named)
            finally:
                self._nanoseconds += time.perf_counter_ns() - begin

        return call

    def taken(self) -> int:
        """Nanoseconds since the last time it was asked."""
        taken, self._nanoseconds = self._nanoseconds, 0
        return taken


class TimedEncoder:
    """A `CompiledEncoder` by a stopwatch."""

    def __init__(self, encoder: CompiledEncoder, watch: Stopwatch) -> None:
        self.specs, self.give_back = encoder.specs, encoder.give_back
        self.one, self.rows = watch.timed(encoder.one), watch.timed(encoder.rows)


def nanoseconds_a_tick(counter: Any) -> float:
    """How long a tick is. `counter`: the module's function that reads the CPU's counter."""
    words = aligned_empty(1, "int64")
    tensor = tvm_ffi.from_dlpack(words)

    def read() -> tuple[int, int]:
        begin = time.perf_counter_ns()
        counter(tensor)
        return begin, int(words[0])

    read()
    begin, first = read()
    time.sleep(_CALIBRATION)
    end, last = read()
    return (end - begin) / max(last - first, 1)


def step_times(
    stage: str,
    probes: Sequence[Mapping[str, Any]],
    words: Sequence[npt.NDArray[np.int64]],
    tick: float,
) -> list[KernelTime]:
    """One entry a kernel, in the order of their first calls. `words`: the counts, one a workspace;
    they are cleared."""
    total = np.zeros((len(probes), Probe.WORDS), np.int64)
    for counted in words:
        total += counted.reshape(total.shape)
        counted[:] = 0
    found: dict[str, KernelTime] = {}
    for probe, counts in zip(probes, total.tolist(), strict=True):
        ticks, runs = counts[Probe.TICKS], counts[Probe.RUNS]
        kernel = probe["kernel"]
        before = found.get(kernel, KernelTime(stage, kernel, 0, 0.0))
        calls = before.calls + runs * probe["calls"]
        found[kernel] = KernelTime(stage, kernel, calls, before.nanoseconds + ticks * tick)
    return [one for one in found.values() if one.calls]
