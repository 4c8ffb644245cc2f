"""Which calls of compiled code release Python's lock.

Releasing it and taking it again costs a thread that waits for it a wake-up in vain, where the call
is back before that thread runs. So calls that turn out to be brief keep it.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns

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
    """Which calls of a function are brief, by their rows: those of about as many are of a kind.

    Safe to use from many threads at once.
    """

    def __init__(self) -> None:
        # By the bits of the count of rows.
        self._trials: dict[int, Trials] = {}
        self._brief: dict[int, bool] = {}

    def keeps_lock(self, rows: int) -> bool | None:
        """Whether a call of so many rows is to keep Python's lock; None while that is tried."""
        return self._brief.get(rows.bit_length())

    def time(self, rows: int, call: Callable[[], object]) -> None:
        """Make a call that does not keep it."""
        kind = rows.bit_length()
        trials = self._trials.setdefault(kind, Trials())
        if trials.time(call):
            self._brief[kind] = trials.brief
