"""One candidate on one worker: upload, run, check, time. Runs in a process that may be killed."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any

from rtcompile.targets import resolve_target
from rtcompile.tuning.machine import Machine
from rtcompile.tuning.measurable import Measurable, differences
from rtcompile.tuning.trials import Outcome
from rtcompile.tuning.worker import MACHINE

__all__ = ["Disconnected", "Queue", "Unfit", "ask_machine", "measure"]

_LIBRARY = "candidate.so"
_REPEATS, _REPEAT_MS = 5, 20


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


def measure(queue: Queue, target: str, measurable: Measurable) -> Outcome | Disconnected | Unfit:
    """Run and time the candidate on the next free worker."""
    try:
        session = _connect(queue)
        machine = _machine(session, target)
        return machine if isinstance(machine, Unfit) else _run(session, measurable)
    except (RuntimeError, OSError) as error:
        if "RPCSessionTimeoutError" in str(error):
            return Outcome(None, "timeout")
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


def _run(session: Any, measurable: Measurable) -> Outcome:
    import tvm

    session.upload(bytearray(measurable.library), _LIBRARY)
    module = session.load_module(_LIBRARY)
    device = session.cpu(0)
    arguments: list[Any] = [
        argument if isinstance(argument, int) else tvm.runtime.tensor(argument, device)
        for argument in measurable.arguments
    ]
    module[measurable.function](*arguments)
    for place in measurable.expected:
        wrong = differences(measurable, place, arguments[place].numpy())
        if wrong:
            return Outcome(None, "wrong")
    evaluator = module.time_evaluator(
        measurable.function, device, number=1, repeat=_REPEATS, min_repeat_ms=_REPEAT_MS
    )
    return Outcome(statistics.median(evaluator(*arguments).results))


def _last_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[-1]
