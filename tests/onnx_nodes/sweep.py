"""All node tests of the onnx package, judged in a child, one by one: its end is a verdict."""

from __future__ import annotations

import os
import pickle
import re
import select
import signal
import time
import warnings
from collections.abc import Iterator
from typing import Any

from tests.onnx_nodes.judge import Outcome, Verdict, judge

__all__ = ["node_tests", "sweep"]

_SECONDS = 120


def node_tests(pattern: str = "") -> list[Any]:
    """onnx's own tests of single operators whose name matches, in order of their names."""
    from onnx.backend.test.loader import load_model_tests

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = load_model_tests(kind="node")
    return sorted((c for c in found if re.search(pattern, c.name)), key=lambda case: case.name)


def sweep(cases: list[Any]) -> Iterator[tuple[str, Verdict]]:
    """The verdict on each. A child that dies, or takes too long, is followed by another."""
    at = 0
    while at < len(cases):
        child, reads = _start(cases[at:])
        while at < len(cases):
            told = _read(reads, time.monotonic() + _SECONDS)
            if told is None:
                os.kill(child, signal.SIGKILL)
                _, status = os.waitpid(child, 0)
                yield cases[at].name, _ended(status)
                at += 1
                break
            yield cases[at].name, told
            at += 1
        else:
            os.waitpid(child, 0)
        os.close(reads)


def _start(cases: list[Any]) -> tuple[int, int]:
    """The child that judges cases, and where its verdicts can be read."""
    reads, writes = os.pipe()
    child = os.fork()
    if child:
        os.close(writes)
        return child, reads
    try:
        os.close(reads)
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
        warnings.simplefilter("ignore")
        for case in cases:
            told = pickle.dumps(judge(case))
            os.write(writes, len(told).to_bytes(4, "little") + told)
    finally:
        os._exit(0)


def _read(reads: int, until: float) -> Verdict | None:
    """The next verdict; None where the child has ended, or is late."""
    head = _bytes(reads, 4, until)
    told = _bytes(reads, int.from_bytes(head, "little"), until) if head else b""
    if not told:
        return None
    verdict: Verdict = pickle.loads(told)
    return verdict


def _bytes(reads: int, count: int, until: float) -> bytes:
    found = b""
    while len(found) < count:
        ready, _, _ = select.select([reads], [], [], max(until - time.monotonic(), 0))
        part = os.read(reads, count - len(found)) if ready else b""
        if not part:
            return b""
        found += part
    return found


def _ended(status: int) -> Verdict:
    number = status & 127
    how = signal.Signals(number).name if number else "an exception of the judge"
    late = "it took too long, or " if number == signal.SIGKILL else ""
    return Verdict(Outcome.FOREIGN, True, f"{late}the process ended: {how}")
