"""Builds a candidate and the default that it is timed against, in a process that may be killed."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rtcompile.codegen.program.trials import Outcome, Task, Trial
from rtcompile.errors import RtcompileError
from rtcompile.tuning.measurable import Measurable

__all__ = [
    "Default",
    "Pair",
    "Prepare",
    "build_pair",
    "built",
    "ignore_interrupts",
    "no_default",
    "process_pool",
]

Prepare = Callable[[Trial, str], Measurable]  # of a trial and a target
Default = Callable[[Trial, str], "Trial | None"]  # of the trial's task, None where it is that

_GRACE = 15  # seconds after which a process that cannot tell of its timeout is ended by the kernel

_defaults: dict[tuple[Task, str], Measurable] = {}  # of the last task


@dataclass(frozen=True)
class Pair:
    """A candidate and its task's default; None where the candidate is it."""

    candidate: Measurable
    default: Measurable | None


def no_default(trial: Trial, target: str) -> Trial | None:
    """Nothing to be timed against."""


def build_pair(
    prepare: Prepare, default: Default, trial: Trial, target: str, seconds: float
) -> Pair | Outcome:
    """The pair, or the outcome of a trial that cannot be built."""
    signal.alarm(int(seconds) + _GRACE)
    try:
        return Pair(prepare(trial, target), _default(prepare, default(trial, target), target))
    except (RtcompileError, RuntimeError, ValueError, TypeError, KeyError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        return Outcome(None, f"build: {reason}")
    finally:
        signal.alarm(0)


def _default(prepare: Prepare, default: Trial | None, target: str) -> Measurable | None:
    if default is None:
        return None
    key = default.task, target
    if key not in _defaults:
        _defaults.clear()
        _defaults[key] = prepare(default, target)
    return _defaults[key]


# -- in the process that has others build ---------------------------------------------------------


def process_pool(processes: int, seconds: float) -> Any:
    """Processes, each of which may take so long for a call."""
    from tvm.support.popen_pool import PopenPoolExecutor

    return PopenPoolExecutor(processes, seconds, initializer=ignore_interrupts)


def ignore_interrupts() -> None:
    """An interrupt is for the one who started the process, who then ends it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def built(future: Any) -> Pair | Outcome:
    """What a process of the pool built, or how it failed."""
    try:
        pair: Pair | Outcome = future.result()
    except TimeoutError:
        return Outcome(None, "build: the compiler took too long")
    except (ChildProcessError, EOFError):
        return Outcome(None, "build: the compiler crashed")
    return pair
