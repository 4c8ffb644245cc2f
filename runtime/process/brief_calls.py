"""Which calls of compiled code release Python's lock.

Releasing it and taking it again costs a thread that waits for it a wake-up in vain, where the call
is back before that thread runs. So calls that turn out to be brief keep it.
"""

from __future__ import annotations

import sys

from rtcompile.runtime.abi.brief_calls import BriefRows
from rtcompile.runtime.memory.struct_memory import allocate

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

    def note(self, nanoseconds: int) -> bool:
        """A call took so long. Says whether enough were timed."""
        self._taken.append(nanoseconds)
        return self.over


class BriefCalls:
    """Which calls of a function are brief: those of MOST rows or fewer. Those of LEAST_LONG or
    more are not, and those between have not been tried.

    Calls of about as many rows are tried together. `words` has both, and lies at `address`, where
    compiled code reads it. Safe to use from many threads at once.
    """

    def __init__(self) -> None:
        self._trials: dict[int, Trials] = {}  # by the bits of the count of rows
        given = {BriefRows.MOST: -1, BriefRows.LEAST_LONG: sys.maxsize}
        brief = allocate(BriefRows, given=given)
        self.words, self.address = brief.words, brief.address

    def is_untried(self, rows: int) -> bool:
        """Whether a call of so many rows is to be timed."""
        return self.words[BriefRows.MOST] < rows < self.words[BriefRows.LEAST_LONG]

    def note(self, rows: int, nanoseconds: int) -> None:
        """A call of untried rows took so long."""
        bits = rows.bit_length()
        trials = self._trials.setdefault(bits, Trials())
        if not trials.note(nanoseconds):
            return
        if trials.brief:
            self.words[BriefRows.MOST] = max(self.words[BriefRows.MOST], (1 << bits) - 1)
        else:
            self.words[BriefRows.LEAST_LONG] = min(
                self.words[BriefRows.LEAST_LONG], (1 << bits) >> 1
            )
