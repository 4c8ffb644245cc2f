"""Threads that help with a large request: its rows are cut into one range a thread."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import pairwise

__all__ = ["ROWS_A_THREAD", "Helpers", "ranges"]

# Rows that are worth a thread.
ROWS_A_THREAD = 128


def ranges(rows: int, threads: int, tile_rows: int) -> list[tuple[int, int]]:
    """At most `threads` ranges that cover `rows`, of about equal size, in whole tiles."""
    tiles = -(-rows // tile_rows)
    count = max(1, min(threads, rows // ROWS_A_THREAD))
    edges = [min(rows, tiles * part // count * tile_rows) for part in range(count)] + [rows]
    return list(pairwise(edges))


class Helpers:
    """`threads` - 1 threads that wait for work; the caller is the last one."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads - 1, thread_name_prefix="rtcompile")

    def run(self, rows: int, tile_rows: int, work: Callable[[int, int], None]) -> None:
        """Call `work` with each range, wait for all. Raises what the first that failed raised.

        A range is whole tiles of the compiled code, of `tile_rows` each.
        """
        first, *others = ranges(rows, self._threads, tile_rows)
        given = [self._pool.submit(work, *part) for part in others]
        try:
            work(*first)
        finally:
            wait(given)  # they write into the caller's memory
        for future in given:
            future.result()
