"""Processes that each rank on their own: what a machine gives, where nothing is shared.

Two threads may do less than twice as much as one because they take turns at Python, or because the
machine's second core is slower, shared or a second thread of the first. Processes tell the two
apart: they share the cores and nothing else.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

__all__ = ["Processes"]

# (requests of how many rows, for how many seconds) -> requests a second
Serve = Callable[[int, float], float]


class Processes:
    """`count` copies of this process, each with what `make` gives there.

    Copies, since what makes requests cannot be sent to another process. To be made before this one
    starts threads, which a copy would not have. They end when this is left, or with this process.
    """

    def __init__(self, count: int, make: Callable[[], Serve]) -> None:
        fork = multiprocessing.get_context("fork")
        self._ends: list[Connection[Any, Any]] = []
        self.copies: list[BaseProcess] = []
        for _ in range(count):
            ours, theirs = fork.Pipe()
            self._ends.append(ours)
            arguments = (theirs, list(self._ends), make)
            self.copies.append(fork.Process(target=_answer, args=arguments, daemon=True))
            self.copies[-1].start()
            theirs.close()

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_: object) -> None:
        for end in self._ends:
            end.close()
        for copy in self.copies:
            copy.join()

    def requests_per_second(self, rows: int, seconds: float) -> float:
        """What all do together, at the same time. Raises EOFError where one has died."""
        for end in self._ends:
            end.send((rows, seconds))
        return sum(float(end.recv()) for end in self._ends)


def _answer(
    end: Connection[Any, Any], others: list[Connection[Any, Any]], make: Callable[[], Serve]
) -> None:
    """What a process does: serve when it is told, until no one is there to tell it.

    `others`: the first process's ends. While a copy has them open, no pipe ends with that process.
    """
    for other in others:
        other.close()
    serve = make()
    while True:
        try:
            rows, seconds = end.recv()
        except (EOFError, OSError):
            return
        end.send(serve(rows, seconds))
