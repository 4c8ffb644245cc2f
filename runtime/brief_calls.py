"""Which calls of compiled code are brief, by what calls of about as many rows took.

Two things are not worth it for a brief call. Releasing Python's lock and taking it again costs a
thread that waits for it a wake-up in vain, where the call is back before that thread runs. And
a thread that is to help with a call has to wake, too.
"""

from __future__ import annotations

import sys

from runtime.arrays import aligned_empty
from runtime.input_table import address

__all__ = ["LEAST_LONG", "MOST", "BriefCalls", "Trials"]

MOST, LEAST_LONG = 0, 1  # words of BriefCalls

_TRIALS, _BRIEF = 16, 10_000  # calls; nanoseconds, of those that keep Python's lock


class Trials:
    """The first calls of a kind. `brief`, once `over`: whether half of them took at most `limit`
    nanoseconds."""

    def __init__(self, limit: int = _BRIEF) -> None:
        self._limit = limit
        self._taken: list[int] = []

    @property
    def over(self) -> bool:
        """Whether enough calls were timed."""
        return len(self._taken) >= _TRIALS

    @property
    def brief(self) -> bool:
        """See the class."""
        return sorted(self._taken)[len(self._taken) // 2] <= self._limit

    def note(self, nanoseconds: int) -> bool:
        """A call took so long. Says whether enough were timed."""
        self._taken.append(nanoseconds)
        return self.over


class BriefCalls:
    """Which calls of a function take at most `limit` nanoseconds: those of MOST rows or fewer.
    Those of LEAST_LONG or more take longer, and those between have not been tried.

    Calls of about as many rows are tried together. `words` has both, and lies at `address`, where
    compiled code reads it. Safe to use from many threads at once.
    """

    def __init__(self, limit: int = _BRIEF) -> None:
        self._limit = limit
        self._trials: dict[int, Trials] = {}  # by the bits of the count of rows
        array = aligned_empty(2, "int64")
        array[:] = -1, sys.maxsize
        self.words, self.address = array.data, address(array)

    def is_untried(self, rows: int) -> bool:
        """Whether it is to be noted what a call of so many rows takes."""
        return bool(self.words[MOST] < rows < self.words[LEAST_LONG])

    def note(self, rows: int, nanoseconds: int) -> None:
        """A call of untried rows took so long."""
        bits = rows.bit_length()
        trials = self._trials.setdefault(bits, Trials(self._limit))
        if not trials.note(nanoseconds):
            return
        if trials.brief:
            self.words[MOST] = max(self.words[MOST], (1 << bits) - 1)
        else:
            self.words[LEAST_LONG] = min(self.words[LEAST_LONG], (1 << bits) >> 1)
