"""Runs trials on this machine, in a process of its own: what crashes or hangs is that process.

    builders   a process a core but one: the candidates to come, and their task's default
    worker     runs a candidate, compares the result, times it in turns with the default
    here       waits; a process that is gone crashed, one that says nothing for too long is ended

The default is built once a task. Turns cancel what else the machine does meanwhile.
"""

from __future__ import annotations

import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rtcompile.codegen.program.trials import Outcome, Trial
from rtcompile.errors import RtcompileError
from rtcompile.files.scratch_folder import scratch_folder
from rtcompile.runtime import InferenceError
from rtcompile.runtime.memory.arrays import aligned_empty
from rtcompile.tuning.candidate_build import (
    Pair,
    Prepare,
    build_pair,
    built,
    ignore_interrupts,
    process_pool,
)
from rtcompile.tuning.measurable import Measurable, differences
from rtcompile.tuning.prepare import default_of, prepare
from rtcompile.tuning.requests import Requests, time_requests
from rtcompile.tuning.tuned.machine import Machine
from rtcompile.tuning.turns import in_turns, outcome_of

__all__ = ["LocalRunner", "aligned_copy"]

_START_SECONDS = 300.0  # to import TVM, on a machine that does much else
_GRACE = 15  # seconds after which a worker that cannot tell of its timeout is ended by the kernel
_REQUEST_SECONDS = 300.0  # for requests to whole artifacts
_TURNS, _TURN_SECONDS = 9, 0.003


class LocalRunner:
    """A Runner. `prepare` builds a trial; it is called in a builder.

    Holds processes: use it in `with`, or close it. `seconds`: that a run may take in all. The
    candidate's turns alternate with those of its task's default, where the registry has its kernel.
    """

    def __init__(self, target: str, prepare: Prepare = prepare, seconds: float = 60) -> None:
        from tvm.support.popen_pool import PopenWorker

        self._target, self._prepare, self._seconds = target, prepare, seconds
        self._count = max((os.cpu_count() or 1) - 1, 1)
        self._builders = process_pool(self._count, _START_SECONDS)
        self._worker = PopenWorker(initializer=ignore_interrupts)
        self._awake = False

    def __enter__(self) -> LocalRunner:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the processes."""
        self._builders.shutdown()
        self._worker.kill()

    def machine(self) -> Machine:
        """This machine."""
        return Machine.here()

    def run(self, trials: Sequence[Trial]) -> Iterator[tuple[Trial, Outcome]]:
        """Each trial with its outcome, in order."""
        left, building = deque(trials), deque[tuple[Trial, Any]]()
        try:
            while left or building:
                while left and len(building) <= self._count:
                    trial = left.popleft()
                    building.append((trial, self._build(trial)))
                trial, future = building.popleft()
                pair = built(future)
                yield trial, pair if isinstance(pair, Outcome) else self._measure(pair)
        finally:
            for _, future in building:
                future.cancel()

    def run_requests(self, candidate: Path, default: Path | None, requests: Requests) -> Outcome:
        """The outcome of requests to an artifact, in turns with the default's."""
        return self._ask(_time_requests, (candidate, default, requests), _REQUEST_SECONDS)

    def _build(self, trial: Trial) -> Any:
        arguments = self._prepare, default_of, trial, self._target, self._seconds
        return self._builders.submit(build_pair, *arguments)

    def _measure(self, pair: Pair) -> Outcome:
        return self._ask(_measure, (pair, self._seconds), self._seconds)

    def _ask(self, function: Callable[..., Outcome], arguments: Any, seconds: float) -> Outcome:
        """What the worker makes of a call; a worker that is gone is started anew for the next."""
        try:
            if not self._awake:
                self._worker.send(_wake, (), {}, _START_SECONDS)
                self._worker.recv()
                self._awake = True
            self._worker.send(function, arguments, {}, seconds)
            outcome: Outcome = self._worker.recv()
        except TimeoutError:
            self._awake = False
            return Outcome(None, f"timeout: not done in {seconds:g} s")
        except (ChildProcessError, EOFError) as error:
            self._awake = False
            return Outcome(None, f"crash: {error}")
        return outcome


# -- in the worker --------------------------------------------------------------------------------


def _wake() -> None:
    import tvm

    assert tvm


_defaults: dict[bytes, _Loaded] = {}  # by their library, of the last task


def _measure(pair: Pair, seconds: float) -> Outcome:
    signal.alarm(int(seconds) + _GRACE)
    try:
        candidate = _Loaded(pair.candidate)
        wrong = candidate.check()
        if wrong:
            return Outcome(None, f"wrong: {wrong}")
        return _time(candidate, _loaded_default(pair.default))
    finally:
        signal.alarm(0)


def _loaded_default(default: Measurable | None) -> _Loaded | None:
    if default is None:
        return None
    if default.library not in _defaults:
        _defaults.clear()
        _defaults[default.library] = _Loaded(default)
    return _defaults[default.library]


def _time_requests(candidate: Path, default: Path | None, requests: Requests) -> Outcome:
    signal.alarm(int(_REQUEST_SECONDS) + _GRACE)
    try:
        return time_requests(candidate, default, requests)
    except (RtcompileError, InferenceError, RuntimeError, ValueError, TypeError) as error:
        return Outcome(None, f"build: {_last_line(error)}")
    finally:
        signal.alarm(0)


def _time(candidate: _Loaded, default: _Loaded | None) -> Outcome:
    both = [candidate] if default is None else [candidate, default]
    repeats = [one.repeats() for one in both]
    calls = [partial(one.seconds, count) for one, count in zip(both, repeats, strict=True)]
    return outcome_of(in_turns(calls, _TURNS))


class _Loaded:
    """A candidate in this process, with its arguments in aligned memory."""

    def __init__(self, measurable: Measurable) -> None:
        import tvm_ffi

        self._measurable = measurable
        self._arguments: list[Any] = []
        for argument in measurable.arguments:
            if isinstance(argument, np.ndarray):
                self._arguments.append(aligned_copy(argument))
            else:
                self._arguments.append(argument)
        # A library's file may go as soon as it is loaded; its name must be new each time.
        with scratch_folder() as folder:
            path = folder / "trial.so"
            path.write_bytes(measurable.library)
            self._module = tvm_ffi.load_module(str(path))
        self._function = self._module[measurable.function]
        self._given = [
            tvm_ffi.from_dlpack(a) if isinstance(a, np.ndarray) else a for a in self._arguments
        ]

    def check(self) -> str:
        """Run once; what is wrong about the result, or ""."""
        self._function(*self._given)
        expected = self._measurable.expected
        wrong = [differences(self._measurable, at, self._arguments[at]) for at in expected]
        return next(filter(None, wrong), "")

    def seconds(self, repeats: int) -> float:
        """A call, by `repeats` of them: time of this thread, not of whoever else has the core."""
        function, given = self._function, self._given
        begin = time.thread_time()
        for _ in range(repeats):
            function(*given)
        return (time.thread_time() - begin) / repeats

    def repeats(self) -> int:
        """Calls of a turn."""
        self.seconds(1)
        return max(1, int(_TURN_SECONDS / max(self.seconds(1), 1e-7)))


def aligned_copy(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The array where kernels may load whole vectors."""
    copy = aligned_empty(array.nbytes, "uint8").view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def _last_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[-1]
