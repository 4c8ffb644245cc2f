"""The area under the ROC curve."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rtcompile.errors import DataError

__all__ = ["area_under_curve"]


def area_under_curve(labels: npt.NDArray[np.float64], scores: npt.NDArray[np.floating]) -> float:
    """AUC of one score a row. Raises DataError where all labels are the same or not 0 and 1."""
    positive = labels == 1
    if not np.all(positive | (labels == 0)):
        raise DataError("labels must be 0 or 1")
    ones, zeros = int(positive.sum()), int((~positive).sum())
    if not ones or not zeros:
        raise DataError("all labels are the same: AUC needs rows of both")
    _, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks = (ends - (counts - 1) / 2)[places]  # from 1 on, ties in the middle
    return float((ranks[positive].sum() - ones * (ones + 1) / 2) / (ones * zeros))
