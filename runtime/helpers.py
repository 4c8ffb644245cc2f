"""Threads that help with a large request: its rows are cut into one range a thread.

A thread that sleeps takes tens of microseconds to wake, so each range has to be worth that. What a
row takes is learned from the calls that are cut: the median of the last ones counts, and after many
calls that were not, nothing does.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import pairwise
from time import perf_counter_ns

__all__ = ["Helpers", "ranges"]

_SHARE = 250_000  # nanoseconds that are worth a thread
_LEARNED, _ALONE = 9, 1000  # calls


def ranges(rows: int, threads: int, tile_rows: int, least: int) -> list[tuple[int, int]]:
    """At most `threads` ranges that cover `rows`, of about equal size, in whole tiles, each of
    about `least` rows or more."""
    tiles = -(-rows // tile_rows)
    count = max(1, min(threads, rows // least, tiles))
    edges = [min(rows, tiles * part // count * tile_rows) for part in range(count)] + [rows]
    return list(pairwise(edges))


class Helpers:
    """`threads` - 1 threads that wait for work; the caller is the last one."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads - 1, thread_name_prefix="rtcompile")
        # Rows that are worth a thread, by the last calls that were cut.
        self._shares: list[int] = []
        self._least = 0  # their median; 0 while it is not known what a row takes
        self._alone = 0  # calls that were not cut since

    def spreads(self, rows: int) -> bool:
        """Whether a call of so many rows is cut. One is while it is not known what a row takes."""
        if rows and rows >= 2 * self._least:
            return True
        self._alone += 1
        if self._alone > _ALONE:
            self._shares, self._least, self._alone = [], 0, 0
        return False

    def learn(self, rows: int, nanoseconds: int) -> None:
        """So long `rows` rows took."""
        share = math.ceil(_SHARE * rows / max(nanoseconds, 1))
        shares = [*self._shares[1 - _LEARNED :], share]  # others may learn and forget meanwhile
        self._shares, self._least, self._alone = shares, sorted(shares)[len(shares) // 2], 0

    def run(self, rows: int, tile_rows: int, work: Callable[[int, int], None]) -> None:
        """Call `work` with each range, wait for all. Raises what the first that failed raised.

        A range is whole tiles of the compiled code, of `tile_rows` each.
        """
        first, *others = ranges(rows, self._threads, tile_rows, self._least or rows)
        given = [self._pool.submit(work, *part) for part in others]
        begin = perf_counter_ns()
        try:
            work(*first)
            self.learn(first[1] - first[0], perf_counter_ns() - begin)
        finally:
            wait(given)  # they write into the caller's memory
        for future in given:
            future.result()
