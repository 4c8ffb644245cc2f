"""Runs trials on other machines: builds here, measures on the workers of a TVM tracker.

    builders   a process a core      trial -> its library    crash or hang: the trial failed
    callers    a process a worker    library -> seconds      no answer: the machine is gone

A worker ends a session that takes too long, and says so: a timeout. Where the connection drops,
either the candidate crashed its session or the machine is gone, and nobody can tell which. The
trial is therefore queued again, for whichever worker is free next: a candidate that drops every
connection crashes, and a machine that is gone costs its trial a second run and nothing else.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rtcompile.codegen.program.trials import Outcome, Trial
from rtcompile.errors import TuningError
from rtcompile.tuning.addresses import parse_address
from rtcompile.tuning.candidate_build import (
    Default,
    Pair,
    Prepare,
    build_pair,
    built,
    no_default,
    process_pool,
)
from rtcompile.tuning.remote_session import (
    Disconnected,
    Queue,
    Unfit,
    ask_machine,
    measure,
    measure_requests,
)
from rtcompile.tuning.requests import Requests
from rtcompile.tuning.tuned.machine import Machine
from rtcompile.tuning.workers import Workers

__all__ = ["Limits", "RemoteRunner"]

_MOST_WORKERS = 256
_LOST = Outcome(None, "lost: no worker is left")
_TICK = 0.5  # seconds between looks at which workers there are


@dataclass(frozen=True)
class Limits:
    """Seconds for a build, for a session, and to wait for a worker when there is none.

    `drops`: connections that a trial may lose before it counts as a crash.
    """

    build_seconds: float = 60
    session_seconds: float = 30
    patience_seconds: float = 60
    drops: int = 3


@dataclass
class _Job:
    trial: Trial
    pair: Pair | None = None
    drops: int = 0


@dataclass
class _Jobs:
    """The trials of one run: not built yet, built and waiting for a worker, and under way."""

    unbuilt: deque[_Job]
    built: deque[_Job] = field(default_factory=deque)
    building: dict[Future[Any], _Job] = field(default_factory=dict)
    calling: dict[Future[Any], _Job] = field(default_factory=dict)

    def under_way(self) -> dict[Future[Any], _Job]:
        return {**self.building, **self.calling}

    def waiting(self) -> bool:
        return bool(self.unbuilt or self.built)


class RemoteRunner:
    """A Runner. `prepare` builds a trial, `default` names its default (`candidate_build.py`).

    Both are called in other processes. The candidate's turns alternate with those of the default.
    Holds processes: use it in `with`, or close it. Raises TuningError where there is no tracker, no
    worker of the key within the patience, or one that cannot run the target.
    """

    def __init__(
        self,
        prepare: Prepare,
        target: str,
        tracker: str,
        key: str,
        default: Default = no_default,
        limits: Limits | None = None,
    ) -> None:
        self._prepare, self._default, self._target = prepare, default, target
        self._limits = limits or Limits()
        self._queue = Queue(*parse_address(tracker), key, self._limits.session_seconds)
        self._workers = Workers(self._queue.host, self._queue.port, key)
        if not self._workers.wait(self._limits.patience_seconds):
            raise TuningError(
                f"the tracker {tracker} knows no worker of key {key!r}: start `rtcompile worker "
                f"--tracker {tracker} --key {key}` on the target machine"
            )
        self._builders = process_pool(os.cpu_count() or 1, self._limits.build_seconds)
        # Longer than two sessions: only a machine that vanished in silence lets a caller wait so.
        self._callers = process_pool(_MOST_WORKERS, 2 * self._limits.session_seconds + 30)

    def __enter__(self) -> RemoteRunner:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the processes."""
        self._builders.shutdown()
        self._callers.shutdown()
        self._workers.close()

    def machine(self) -> Machine:
        """What the workers' machine is, as the first free one says. Raises TuningError."""
        answer: Machine | Disconnected | Unfit = self._callers.submit(
            ask_machine, self._queue, self._target
        ).result()
        if not isinstance(answer, Machine):
            raise TuningError(answer.reason)
        return answer

    def run(self, trials: Sequence[Trial]) -> Iterator[tuple[Trial, Outcome]]:
        """Each trial with its outcome, in the order in which they end. Raises TuningError."""
        jobs = _Jobs(deque(map(_Job, trials)))
        seen = time.monotonic()
        try:
            while jobs.waiting() or jobs.under_way():
                workers = self._workers.count()
                self._start(jobs, workers)
                done, _ = wait(jobs.under_way(), timeout=_TICK, return_when=FIRST_COMPLETED)
                for future in done:
                    yield from self._end(jobs, future)
                if workers or jobs.calling:
                    seen = time.monotonic()
                elif time.monotonic() - seen > self._limits.patience_seconds:
                    yield from _lose(jobs)
                if not jobs.under_way():
                    time.sleep(_TICK)
        finally:
            for future in jobs.under_way():
                future.cancel()

    def run_requests(self, candidate: Path, default: Path | None, requests: Requests) -> Outcome:
        """The outcome of requests to an artifact on the next free worker. Raises TuningError."""
        arguments = self._queue, self._target, candidate, default, requests
        reason = ""
        for _ in range(self._limits.drops):
            if not self._workers.wait(self._limits.patience_seconds):
                return _LOST
            answer = _answer(self._callers.submit(measure_requests, *arguments))
            if isinstance(answer, Unfit):
                raise TuningError(answer.reason)
            if isinstance(answer, Outcome):
                return answer
            reason = answer.reason
        return Outcome(None, f"crash: {self._limits.drops} times; {reason}")

    def _start(self, jobs: _Jobs, workers: int) -> None:
        """Start as many runs as there are workers, and builds to keep them busy."""
        while jobs.built and len(jobs.calling) < workers:
            job = jobs.built.popleft()
            call = self._callers.submit(measure, self._queue, self._target, job.pair)
            jobs.calling[call] = job
        ahead = 2 * workers + (os.cpu_count() or 1)
        while jobs.unbuilt and len(jobs.building) + len(jobs.built) < ahead:
            job = jobs.unbuilt.popleft()
            jobs.building[self._build(job.trial)] = job

    def _build(self, trial: Trial) -> Future[Any]:
        seconds = self._limits.build_seconds
        building: Future[Any] = self._builders.submit(
            build_pair, self._prepare, self._default, trial, self._target, seconds
        )
        return building

    def _end(self, jobs: _Jobs, future: Future[Any]) -> Iterator[tuple[Trial, Outcome]]:
        """What follows from the end of a build or a run: the next step, or an outcome."""
        if future in jobs.building:
            job = jobs.building.pop(future)
            pair = built(future)
            if isinstance(pair, Outcome):
                yield job.trial, pair
                return
            job.pair = pair
            jobs.built.append(job)
            return
        job = jobs.calling.pop(future)
        answer = _answer(future)
        if isinstance(answer, Unfit):
            raise TuningError(answer.reason)
        if isinstance(answer, Outcome):
            yield job.trial, answer
            return
        job.drops += 1
        if job.drops < self._limits.drops:
            jobs.built.appendleft(job)
        else:
            yield job.trial, Outcome(None, f"crash: {job.drops} times; {answer.reason}")


def _answer(future: Future[Any]) -> Outcome | Disconnected | Unfit:
    try:
        answer: Outcome | Disconnected | Unfit = future.result()
    except (TimeoutError, ChildProcessError, EOFError) as error:
        return Disconnected(f"no answer: {type(error).__name__}")
    return answer


def _lose(jobs: _Jobs) -> Iterator[tuple[Trial, Outcome]]:
    """No worker came back: what has not run is lost, and not spent."""
    for queue in (jobs.built, jobs.unbuilt):
        while queue:
            yield queue.popleft().trial, _LOST
    while jobs.building:
        future, job = jobs.building.popitem()
        future.cancel()
        yield job.trial, _LOST
