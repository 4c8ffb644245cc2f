"""Which calls of compiled code release Python's lock.

Releasing it and taking it again costs a thread that waits for it a wake-up in vain, where the call
is back before that thread runs. So calls that turn out to be brief keep it.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns
from typing import Any

__all__ = ["BriefCalls", "Trials"]

_TRIALS, _BRIEF = 16, 10_000  # calls; nanoseconds


class Trials:
    """The first calls of a kind. `brief`, once `over`: whether half of them were brief."""

    def __init__(self) -> None:
        self._taken: list[int] = []

    @property
    def over(self) -> bool:
        """Whether enough calls were timed."""
        return len(self._taken) >= _TRIALS

    @property
    def brief(self) -> bool:
        """See the class."""
        return sorted(self._taken)[len(self._taken) // 2] <= _BRIEF

    def time(self, call: Callable[[], object]) -> bool:
        """Make a call, and say whether enough were timed. One that raises does not count."""
        begin = perf_counter_ns()
        call()
        self._taken.append(perf_counter_ns() - begin)
        return self.over


class BriefCalls:
    """Calls of one function, whose first argument says how many rows. Safe to make from many
    threads at once.

    Those of about as many rows are of a kind. `get` gives the function, another object each time.
    """

    def __init__(self, get: Callable[[], Any]) -> None:
        self._releasing, self._keeping = get(), get()
        self._keeping.release_gil = False
        # By the bits of the count of rows.
        self._trials: dict[int, Trials] = {}
        self._chosen: dict[int, Any] = {}

    def keeps_lock(self, rows: int) -> bool:
        """Whether a call of so many rows keeps Python's lock."""
        return self._chosen.get(rows.bit_length()) is self._keeping

    def __call__(self, rows: int, *arguments: Any) -> None:
        """Call the function."""
        kind = rows.bit_length()
        function = self._chosen.get(kind)
        if function is not None:
            function(rows, *arguments)
            return
        trials = self._trials.setdefault(kind, Trials())
        if trials.time(lambda: self._releasing(rows, *arguments)):
            self._chosen[kind] = self._keeping if trials.brief else self._releasing
