"""Threads that help with a large request: its rows are cut into one range a thread."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import pairwise

__all__ = ["ROWS_A_THREAD", "Helpers", "ranges"]

# A range is whole tiles of the compiled code (64 rows), and enough of them to be worth a thread.
_TILE = 64
ROWS_A_THREAD = 2 * _TILE


def ranges(rows: int, threads: int) -> list[tuple[int, int]]:
    """At most `threads` ranges that cover `rows`, of about equal size, in whole tiles."""
    tiles = -(-rows // _TILE)
    count = max(1, min(threads, rows // ROWS_A_THREAD))
    edges = [min(rows, tiles * part // count * _TILE) for part in range(count)] + [rows]
    return list(pairwise(edges))


class Helpers:
    """`threads` - 1 threads that wait for work; the caller is the last one."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads - 1, thread_name_prefix="rtcompile")

    def run(self, rows: int, work: Callable[[int, int], None]) -> None:
        """Call `work` with each range, wait for all. Raises what the first that failed raised."""
        first, *others = ranges(rows, self._threads)
        given = [self._pool.submit(work, *part) for part in others]
        try:
            work(*first)
        finally:
            wait(given)  # they write into the caller's memory
        for future in given:
            future.result()
