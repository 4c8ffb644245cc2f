"""Combiners: several numbers to one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from rtcompile.features.conversion.config_context import Context
from rtcompile.features.operators import COMBINERS

__all__ = ["check_combiner", "combine"]


def check_combiner(text: str, context: Context, *, optional: bool) -> str:
    """The combiner's name ("avg" is "mean"); a problem where it is none."""
    name = {"avg": "mean"}.get(text.lower(), text.lower())
    if name in COMBINERS or (optional and not name):
        return name
    context.problem("combiner", f"{text!r} is not allowed; use one of {', '.join(COMBINERS)}")
    return "sum"


def combine(name: str, values: Sequence[float]) -> float:
    """One number of at least one, in float64, from the first to the last.

    gap_min, gap_max: the least and the largest distance between neighbours; 0 for a single value.
    """
    total = 0.0
    for value in values:
        total += value
    gaps = [abs(b - a) for a, b in pairwise(values)] or [0.0]
    return {
        "sum": lambda: total,
        "mean": lambda: total / len(values),
        "min": lambda: min(values),
        "max": lambda: max(values),
        "count": lambda: float(len(values)),
        "gap_min": lambda: min(gaps),
        "gap_max": lambda: max(gaps),
    }[name]()
