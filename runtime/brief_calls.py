"""Which calls of compiled code release Python's lock.

Releasing it and taking it again costs a thread that waits for it a wake-up in vain, where the call
is back before that thread runs. So calls that turn out to be brief keep it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from time import perf_counter_ns

from runtime.arrays import aligned_empty
from runtime.input_table import address

__all__ = ["LEAST_LONG", "MOST", "BriefCalls", "Trials"]

MOST, LEAST_LONG = 0, 1  # words of BriefCalls

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
        """Make a call, and say whether enough were timed. One that raises does not count, nor one
        that returns False."""
        begin = perf_counter_ns()
        if call() is not False:
            self._taken.append(perf_counter_ns() - begin)
        return self.over


class BriefCalls:
    """Which calls of a function are brief: those of `most` rows or fewer. Those of `least_long` or
    more are not, and those between have not been tried.

    Calls of about as many rows are tried together. Compiled code reads both at `address`. Safe to
    use from many threads at once.
    """

    def __init__(self) -> None:
        self._trials: dict[int, Trials] = {}  # by the bits of the count of rows
        array = aligned_empty(8, "int64")
        self._words, self.address = array.data, address(array)
        self.set(-1, sys.maxsize)

    def set(self, most: int, least_long: int) -> None:
        """Say what is known."""
        self.most = self._words[MOST] = most
        self.least_long = self._words[LEAST_LONG] = least_long

    def time(self, rows: int, call: Callable[[], object]) -> None:
        """Make a call of untried rows."""
        bits = rows.bit_length()
        trials = self._trials.setdefault(bits, Trials())
        if not trials.time(call):
            return
        if trials.brief:
            self.set(max(self.most, (1 << bits) - 1), self.least_long)
        else:
            self.set(self.most, min(self.least_long, (1 << bits) >> 1))
