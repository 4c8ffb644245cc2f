"""One candidate on one worker: upload, run, check, time. Runs in a process that may be killed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rtcompile.codegen.program.trials import Outcome
from rtcompile.targets import resolve_target
from rtcompile.tuning.candidate_build import Pair
from rtcompile.tuning.measurable import Measurable, differences
from rtcompile.tuning.requests import Requests
from rtcompile.tuning.tuned.machine import Machine
from rtcompile.tuning.turns import in_turns, outcome_of
from rtcompile.tuning.worker import MACHINE, REQUESTS

__all__ = ["Disconnected", "Queue", "Unfit", "ask_machine", "measure", "measure_requests"]

_TURNS, _TURN_SECONDS = 9, 0.003
_TIMEOUT = "RPCSessionTimeoutError"  # the worker's word when it ends a session


@dataclass(frozen=True)
class Queue:
    """Where workers are asked for, and the seconds that a session of theirs may take."""

    host: str
    port: int
    key: str
    session_seconds: float


@dataclass(frozen=True)
class Disconnected:
    """The worker or its session ended before the result came: it crashed, or is out of reach."""

    reason: str


@dataclass(frozen=True)
class Unfit:
    """The worker's machine cannot run code for the target."""

    reason: str


def ask_machine(queue: Queue, target: str) -> Machine | Disconnected | Unfit:
    """What the machine of the next free worker is, if it can run code for the target."""
    try:
        return _machine(_connect(queue), target)
    except (RuntimeError, OSError) as error:
        return Disconnected(_last_line(error))


def measure(queue: Queue, target: str, pair: Pair) -> Outcome | Disconnected | Unfit:
    """Run the candidate on the next free worker, in turns with its task's default."""
    try:
        session = _connect(queue)
        machine = _machine(session, target)
        return machine if isinstance(machine, Unfit) else _run(session, pair)
    except (RuntimeError, OSError) as error:
        if _TIMEOUT in str(error):
            return Outcome(None, f"timeout: not done in {queue.session_seconds:g} s")
        return Disconnected(_last_line(error))


def measure_requests(
    queue: Queue, target: str, candidate: Path, default: Path | None, requests: Requests
) -> Outcome | Disconnected | Unfit:
    """Requests to an artifact on the next free worker, in turns with the default's."""
    files = {"candidate": candidate, "model": requests.model}
    files |= {"default": default} if default is not None else {}
    files |= {"features": requests.features} if requests.features is not None else {}
    try:
        session = _connect(queue)
        machine = _machine(session, target)
        if isinstance(machine, Unfit):
            return machine
        for name, path in files.items():
            session.upload(bytearray(path.read_bytes()), name)
        answer = json.loads(str(session.get_function(REQUESTS)(" ".join(files))))
        return Outcome(**answer)
    except (RuntimeError, OSError) as error:
        if _TIMEOUT in str(error):
            return Outcome(None, f"timeout: not done in {queue.session_seconds:g} s")
        return Disconnected(_last_line(error))


def _connect(queue: Queue) -> Any:
    from tvm import rpc

    tracker = rpc.connect_tracker(queue.host, queue.port)
    return tracker.request(queue.key, session_timeout=queue.session_seconds)


def _machine(session: Any, target: str) -> Machine | Unfit:
    machine = Machine.from_json(str(session.get_function(MACHINE)()))
    lacking = machine.lacks(resolve_target(target))
    if lacking:
        return Unfit(f"{machine.cpu} cannot run {target}: it lacks {', '.join(lacking)}")
    return machine


def _run(session: Any, pair: Pair) -> Outcome:
    candidate = _Loaded(session, pair.candidate, "candidate.so")
    wrong = candidate.check()
    if wrong:
        return Outcome(None, f"wrong: {wrong}")
    both = [candidate]
    if pair.default is not None:
        both.append(_Loaded(session, pair.default, "default.so"))
    repeats = [max(1, int(_TURN_SECONDS / max(one.seconds(1), 1e-7))) for one in both]
    calls = [partial(one.seconds, count) for one, count in zip(both, repeats, strict=True)]
    return outcome_of(in_turns(calls, _TURNS))


class _Loaded:
    """A candidate in the worker's session, with its arguments in the memory there."""

    def __init__(self, session: Any, measurable: Measurable, name: str) -> None:
        import tvm

        session.upload(bytearray(measurable.library), name)
        self._measurable, self._device = measurable, session.cpu(0)
        self._module = session.load_module(name)
        self._arguments: list[Any] = [
            argument if isinstance(argument, int) else tvm.runtime.tensor(argument, self._device)
            for argument in measurable.arguments
        ]

    def check(self) -> str:
        """Run once; what is wrong about the result, or ""."""
        self._module[self._measurable.function](*self._arguments)
        places = self._measurable.expected
        wrong = [differences(self._measurable, at, self._arguments[at].numpy()) for at in places]
        return next(filter(None, wrong), "")

    def seconds(self, repeats: int) -> float:
        """A call, by `repeats` of them after one that is not counted; the worker has the clock."""
        evaluator = self._module.time_evaluator(
            self._measurable.function, self._device, number=repeats, repeat=1
        )
        return float(evaluator(*self._arguments).mean)


def _last_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[-1]
