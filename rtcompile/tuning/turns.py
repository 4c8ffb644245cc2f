"""Calls measured in turns with each other: a slow moment of the machine falls on all of them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence

from rtcompile.codegen.program.trials import Outcome
from rtcompile.tuning.tuned.gains import robust_spread

__all__ = ["in_turns", "outcome_of", "spread_of"]

_WIDTH = 2 * 1.2533  # standard errors of a median that chance rarely exceeds, for a normal spread


def in_turns(calls: Sequence[Callable[[], float]], turns: int) -> list[list[float]]:
    """The seconds that each call says it took, turn by turn."""
    taken: list[list[float]] = [[] for _ in calls]
    for _ in range(turns):
        for call, times in zip(calls, taken, strict=True):
            times.append(call())
    return taken


def outcome_of(taken: Sequence[Sequence[float]]) -> Outcome:
    """Of a candidate's times and, if it had turns with it, its default's.

    The default's seconds are the candidate's times the median ratio of the turns, in which the
    moments that both had cancel out.
    """
    candidate, default = taken[0], taken[-1]
    seconds, ratios = statistics.median(candidate), _ratios(candidate, default)
    ratio = math.exp(statistics.median(ratios)) if ratios else 1.0
    return Outcome(seconds, "", seconds * ratio, spread_of(candidate, default))


def spread_of(first: Sequence[float], second: Sequence[float]) -> float:
    """How far the ratio of two medians may be off, as a share: half of what most chances cover."""
    ratios = _ratios(first, second)
    if not ratios:
        return 1.0
    return _WIDTH * robust_spread(ratios) / math.sqrt(len(ratios))


def _ratios(first: Sequence[float], second: Sequence[float]) -> list[float]:
    """Their logarithms, second over first, of the turns that took any time."""
    return [math.log(b / a) for a, b in zip(first, second, strict=True) if a > 0 and b > 0]
