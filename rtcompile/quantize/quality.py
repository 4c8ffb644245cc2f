"""What lower precision does to the scores, and how much of it is allowed.

Where labels are given, what counts is AUC, the chance that a row with label 1 scores above one with
label 0 (ties count half); without them, how far scores move.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rtcompile.verification.area_under_curve import area_under_curve
from rtcompile.verification.differences import ScoreDifference

__all__ = ["Budget", "Quality", "compare"]

Scores = Mapping[str, npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Budget:
    """The most that may be lost: of AUC where there are labels, else of the scores.

    The differences are absolute, relative to an output's largest value where that is above 1.
    """

    auc_drop: float = 5e-4
    largest: float = 2e-2
    mean: float = 4e-3

    def __post_init__(self) -> None:
        for name in ("auc_drop", "largest", "mean"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"the budget's {name} must be a number from 0 on")


@dataclass(frozen=True)
class Quality:
    """Scores of one precision beside those of another. `auc_drop` is None without labels."""

    largest: float
    mean: float
    auc_drop: float | None = None

    def share(self, budget: Budget) -> float:
        """How much of the budget is used: above 1 is over it. NaN scores use all of it."""
        if self.auc_drop is not None:
            used = [_ratio(self.auc_drop, budget.auc_drop)]
        else:
            used = [_ratio(self.largest, budget.largest), _ratio(self.mean, budget.mean)]
        return float("inf") if any(np.isnan(used)) else max(*used, 0.0)

    def __str__(self) -> str:
        text = f"largest score difference {self.largest:.2g}, mean {self.mean:.2g}"
        return text if self.auc_drop is None else f"AUC drop {self.auc_drop:.6f}, {text}"


def _ratio(used: float, allowed: float) -> float:
    if allowed > 0:
        return used / allowed
    return float("inf") if used > 0 else 0.0


def compare(want: Scores, got: Scores, labels: npt.NDArray[np.float64] | None) -> Quality:
    """The quality of `got`, by output, beside `want`. AUC is that of the first output."""
    moved = ScoreDifference()
    moved.add(want.values(), [got[name] for name in want])
    if labels is None:
        return Quality(moved.largest, moved.mean)
    first = next(iter(want))
    before, after = (
        area_under_curve(labels, scores[first].reshape(len(labels), -1)[:, 0])
        for scores in (want, got)
    )
    return Quality(moved.largest, moved.mean, before - after)
