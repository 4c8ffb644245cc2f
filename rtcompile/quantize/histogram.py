"""How often each magnitude was seen: a histogram that needs no range beforehand.

A value's bin is the top of its bits: sign, exponent and 6 bits of mantissa, so that a bin is 1.6%
wide wherever it is. The smallest and largest value are kept as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

import numpy as np
import numpy.typing as npt

from rtcompile.codegen.kernels.observe_rows import PREFIX_BINS, PREFIX_SHIFT

__all__ = ["Histogram"]

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@cache
def _bounds() -> tuple[Floats, Floats]:
    """The smaller and the larger end of each bin; NaN for those of NaN and infinity."""
    prefixes = np.arange(PREFIX_BINS, dtype=np.uint32) << np.uint32(PREFIX_SHIFT)
    with np.errstate(invalid="ignore"):
        near = prefixes.view(np.float32).astype(np.float64)
        last = np.uint32((1 << PREFIX_SHIFT) - 1)
        far = (prefixes | last).view(np.float32).astype(np.float64)
    near[~np.isfinite(far)] = far[~np.isfinite(far)] = np.nan
    return np.minimum(near, far), np.maximum(near, far)


@dataclass
class Histogram:
    """Counts by bin, int64 [PREFIX_BINS]; `low` and `high` are of the finite values."""

    low: float = np.inf
    high: float = -np.inf
    counts: Counts = field(default_factory=lambda: np.zeros(PREFIX_BINS, np.int64))

    def add(self, values: npt.NDArray[np.float32]) -> None:
        """Count values of any shape."""
        flat = np.ascontiguousarray(values, np.float32).reshape(-1)
        self.counts += np.bincount(flat.view(np.uint32) >> PREFIX_SHIFT, minlength=PREFIX_BINS)
        finite = flat[np.isfinite(flat)]
        if finite.size:
            self.low = min(self.low, float(finite.min()))
            self.high = max(self.high, float(finite.max()))

    @property
    def finite(self) -> int:
        """Finite values that were counted."""
        return int(self.counts[~np.isnan(_bounds()[0])].sum())

    @property
    def not_finite(self) -> int:
        """NaN and infinite values that were counted."""
        return int(self.counts.sum()) - self.finite

    def spread(self, bins: int) -> tuple[Floats, Floats]:
        """Centres and counts of `bins` equal bins from low to high; a bin's share by overlap."""
        edges = np.linspace(self.low, self.high, bins + 1)
        lower, upper = _bounds()
        used = (self.counts > 0) & ~np.isnan(lower)
        begin = np.clip(lower[used], self.low, self.high)
        end = np.clip(upper[used], self.low, self.high)
        # The mass up to each edge: whole bins below it, and a share of the one that holds it.
        width = np.maximum(end - begin, 1e-300)
        shares = np.clip((edges[:, None] - begin) / width, 0.0, 1.0)
        shares[edges[:, None] >= end] = 1.0
        shares[0] = 0.0
        below = shares @ self.counts[used].astype(np.float64)
        return (edges[:-1] + edges[1:]) / 2, np.diff(below)
