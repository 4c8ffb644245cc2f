"""A tracker and workers as processes on loopback, for tests."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

KEY = "test"


def _start(*arguments: str) -> tuple[subprocess.Popen[str], str]:
    """The process, and the last word of the first line that it prints."""
    process = subprocess.Popen(
        [sys.executable, "-m", "rtcompile", *arguments], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    return process, process.stdout.readline()


@contextmanager
def fleet(workers: int) -> Iterator[tuple[str, list[subprocess.Popen[str]]]]:
    """The tracker's address and the workers' processes; all end with the context."""
    started = []
    try:
        tracker, line = _start("tracker", "--port", "0")
        started.append(tracker)
        address = line.split()[-1]
        for _ in range(workers):
            started.append(_start("worker", "--tracker", address, "--key", KEY)[0])
        yield address, started[1:]
    finally:
        for process in started:
            process.kill()
            process.communicate()
