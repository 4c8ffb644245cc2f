"""The area under the ROC curve."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["auc"]


def auc(labels: npt.NDArray[Any], scores: npt.NDArray[Any]) -> float:
    """Share of (positive, negative) pairs in the right order; a tie counts half."""
    labels, scores = np.asarray(labels), np.asarray(scores, np.float64)
    _, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[places.reshape(-1)]
    positives = int(labels.sum())
    negatives = len(labels) - positives
    if not positives or not negatives:
        raise ValueError("the AUC needs positives and negatives")
    above = ranks[labels == 1].sum() - positives * (positives + 1) / 2
    return float(above / (positives * negatives))
