"""Ranges of activations, from what calibration data made of them.

A range [low, high] always holds zero, so that zero is exact; it is cut into the 255 steps of a
byte. Three ways to choose it from a histogram:

    minmax      all that was seen
    percentile  all but a share of the values, which then saturate
    entropy     where the distribution, once quantized, has lost least: the smallest relative
                entropy over cuts of the tails (Migacz, 8-bit inference with TensorRT, 2017)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rtcompile.errors import ConfigError
from rtcompile.quantize.histogram import Histogram

__all__ = ["METHODS", "Range", "choose_range"]

METHODS = ("minmax", "percentile", "entropy")

_BINS = 2048
_LEVELS = 255
# Share of the values that `percentile` lets saturate, at each end.
_TAIL = 1e-4
# Cuts of the tails that `entropy` compares.
_CUTS = 64
# A narrower range counts as no range: its inverse would leave float32.
_NARROWEST = 1e-30

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Range:
    """Values from `low` to `high` as bytes: q = x * inverse + zero, rounded."""

    low: float
    high: float

    @property
    def scale(self) -> float:
        """What one step is worth; 1 where all values are zero."""
        width = self.high - self.low
        return width / _LEVELS if width > _NARROWEST else 1.0

    @property
    def zero(self) -> int:
        """The byte that stands for zero."""
        return int(np.clip(np.round(-self.low / self.scale), 0, _LEVELS))


def choose_range(histogram: Histogram, method: str) -> Range:
    """The range by one of METHODS. A constant or empty histogram gives its one value and zero."""
    if method not in METHODS:
        raise ConfigError(f"calibration method {method!r}: one of {', '.join(METHODS)} is needed")
    if not histogram.finite:
        return Range(0.0, 0.0)
    if method == "minmax" or histogram.high <= histogram.low:
        return Range(min(histogram.low, 0.0), max(histogram.high, 0.0))
    centres, counts = histogram.spread(_BINS)
    if method == "percentile":
        return _percentile(histogram, centres, counts)
    return _least_entropy(histogram, centres, counts)


def _percentile(histogram: Histogram, centres: Floats, counts: Floats) -> Range:
    shares = np.cumsum(counts) / counts.sum()
    half = (histogram.high - histogram.low) / _BINS / 2
    first = int(np.searchsorted(shares, _TAIL, side="right"))
    last = min(int(np.searchsorted(shares, 1 - _TAIL, side="left")), _BINS - 1)
    low = max(float(centres[first]) - half, histogram.low)
    high = min(float(centres[last]) + half, histogram.high)
    return Range(min(low, 0.0), max(high, 0.0))


def _least_entropy(histogram: Histogram, centres: Floats, counts: Floats) -> Range:
    """Cut both ends in proportion; a cut's tails count as its outermost bins."""
    low, high = min(histogram.low, 0.0), max(histogram.high, 0.0)
    best, found = np.inf, Range(low, high)
    counts = _without_spike(counts, centres)
    for cut in range(_CUTS, _CUTS // 8, -1):
        candidate = Range(low * cut / _CUTS, high * cut / _CUTS)
        loss = _relative_entropy(counts, centres, candidate)
        if loss < best:
            best, found = loss, candidate
    return found


def _without_spike(counts: Floats, centres: Floats) -> Floats:
    """Zeros, which a ReLU makes by the million and every range has exactly, weigh no more than
    their neighbours."""
    at = int(np.argmin(np.abs(centres)))
    beside = [counts[place] for place in (at - 1, at + 1) if 0 <= place < len(counts)]
    found = counts.copy()
    found[at] = min(counts[at], max(beside))
    return found


def _relative_entropy(counts: Floats, centres: Floats, to: Range) -> float:
    """Of the counts, tails clipped, to what is left of them after quantization."""
    inside = np.clip(centres, to.low, to.high)
    steps = np.round(inside / to.scale).astype(np.int64)
    clipped = (centres < to.low) | (centres > to.high)
    reference = counts.copy()
    # The clipped mass sits at the ends of the reference, but not in what the steps can tell.
    kept = np.where(clipped, 0.0, reference)
    for end, outside in ((to.low, centres < to.low), (to.high, centres > to.high)):
        nearest = int(np.argmin(np.where(clipped, np.inf, np.abs(centres - end))))
        reference[nearest] += reference[outside].sum()
    reference[clipped] = 0.0
    if not reference.sum():
        return np.inf  # nothing but zeros, which every range has
    _, places = np.unique(steps, return_inverse=True)
    filled = (kept > 0).astype(np.float64)
    mass, width = np.bincount(places, kept), np.bincount(places, filled)
    spread = np.divide(mass, width, out=np.zeros_like(mass), where=width > 0)[places] * filled
    p, q = reference / reference.sum(), spread / max(spread.sum(), 1e-300)
    used = p > 0
    return float(np.sum(p[used] * np.log(p[used] / np.maximum(q[used], 1e-12))))
