"""How far scores are from others, and what a verification found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["TOLERANCE", "ScoreDifference", "Verification", "differences"]

# Largest absolute difference, relative to the output's largest value where that is above 1.
TOLERANCE = 1e-4


@dataclass
class ScoreDifference:
    """How far scores are from the original's: absolute, relative to an output's largest above 1."""

    largest: float = 0.0
    total: float = 0.0
    scores: int = 0

    @property
    def mean(self) -> float:
        """Over all scores."""
        return self.total / max(self.scores, 1)

    def add(self, want: Iterable[npt.NDArray[Any]], got: Iterable[npt.NDArray[Any]]) -> None:
        """Outputs of both, in the same order."""
        for one, other in zip(want, got, strict=True):
            moved = differences(one, other)
            # `max` of Python would lose a NaN.
            self.largest = float(np.maximum(self.largest, np.max(moved, initial=0.0)))
            self.total, self.scores = self.total + float(moved.sum()), self.scores + moved.size


@dataclass(frozen=True)
class Verification:
    """The largest difference from what the kernels compute, seen over `rows` rows in all.

    `from_original`: that from the original, where tables are in a lower precision.
    `from_quantized`: that from a model which came quantized, `file_rounding`: what its own rounding
    moves scores by; the difference that is kernels' alone is one of layers in float32 then.
    """

    largest_difference: float
    rows: int
    from_original: ScoreDifference | None = None
    from_quantized: ScoreDifference | None = None
    file_rounding: float = 0.0


def differences(want: npt.NDArray[Any], got: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Absolute, relative to the largest of `want` where that is above 1; NaN is equal to NaN."""
    scale = max(1.0, float(np.nanmax(np.abs(want), initial=0.0)))
    same = (want == got) | (np.isnan(want) & np.isnan(got))
    with np.errstate(invalid="ignore"):
        return np.where(same, 0.0, np.abs(want.astype(np.float64) - got) / scale)
