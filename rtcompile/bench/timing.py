"""Time calls side by side: in turns, so that a slow minute of the machine falls on all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

__all__ = ["side_by_side"]

_FEWEST, _LONGEST = 3, 10.0  # turns; seconds of all turns of a call


def side_by_side(
    calls: Mapping[str, Callable[[], object]], rounds: int = 15, seconds: float = 0.02
) -> dict[str, float]:
    """Median microseconds a call of each, over `rounds` turns of about `seconds` each.

    A call that is slow has fewer turns.
    """
    repeats, turns = {}, {}
    for name, call in calls.items():
        call()  # warm
        begin = time.perf_counter()
        call()
        once = max(time.perf_counter() - begin, 1e-7)
        repeats[name] = max(1, int(seconds / once))
        turns[name] = min(rounds, max(_FEWEST, int(_LONGEST / once)))
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(rounds):
        for name, call in calls.items():
            if turn >= turns[name]:
                continue
            begin = time.perf_counter()
            for _ in range(repeats[name]):
                call()
            taken[name].append((time.perf_counter() - begin) / repeats[name])
    return {name: statistics.median(times) * 1e6 for name, times in taken.items()}
