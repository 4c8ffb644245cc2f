"""How far a run of many requests is: told as it goes, and kept, so that it goes on where it was."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

__all__ = ["Progress"]


class Progress:
    """Of requests `first` to `first + count`. `next`: the first that was not tried yet; `problems`:
    what went wrong, a line each. `path`: the file that keeps both; `report` is told of each step.
    """

    def __init__(
        self,
        first: int,
        count: int,
        path: Path | None = None,
        report: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.first, self.count, self.path, self._report = first, count, path, report
        self.next, self.problems = first, list[str]()
        if path is not None and path.exists():
            self.next, *self.problems = json.loads(path.read_text())
        self._began, self._begin = time.monotonic(), self.next

    def add(self, following: int, problem: str) -> None:
        """The next request, and what went wrong with one before, if something did."""
        self.next = following
        if problem:
            self.problems.append(problem)
            self._report(problem)
        if self.path is not None:
            self.path.write_text(json.dumps([self.next, *self.problems]))
        rate = (following - self._begin) / max(time.monotonic() - self._began, 1e-9)
        left = (self.first + self.count - following) / max(rate, 1e-9) / 60
        done = f"{following - self.first:,} of {self.count:,} requests"
        problems = f"{len(self.problems)} problems"
        self._report(f"{done}, {problems}, {rate:.0f} a second, {left:.0f} minutes left")
