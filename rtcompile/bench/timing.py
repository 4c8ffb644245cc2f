"""Time calls side by side: in turns, so that a slow minute of the machine falls on all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

__all__ = ["side_by_side"]


def side_by_side(
    calls: Mapping[str, Callable[[], object]], rounds: int = 15, seconds: float = 0.02
) -> dict[str, float]:
    """Median microseconds a call of each, over `rounds` turns of about `seconds` each."""
    repeats = {}
    for name, call in calls.items():
        call()  # warm
        begin = time.perf_counter()
        call()
        once = time.perf_counter() - begin
        repeats[name] = max(1, int(seconds / max(once, 1e-7)))
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            begin = time.perf_counter()
            for _ in range(repeats[name]):
                call()
            taken[name].append((time.perf_counter() - begin) / repeats[name])
    return {name: statistics.median(times) * 1e6 for name, times in taken.items()}
