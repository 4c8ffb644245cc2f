"""Requests that threads share, however long they take."""

from __future__ import annotations

import numpy as np

import runtime
from runtime.team_plan import TRIALS, Team, Trial

__all__ = ["share_from", "team_of", "trial_of"]


def share_from(ranker: runtime.Ranker, rows: int) -> None:
    """Requests of so many rows are known to be worth it, and those of half as many not to be."""
    for count in (1 << bits for bits in range(41)):
        trial_of(ranker, count)[:] = TRIALS, TRIALS if 2 * count > rows else 0


def team_of(ranker: runtime.Ranker) -> np.ndarray:
    """The words about the helpers."""
    assert ranker._stage.helpers is not None
    return ranker._stage.helpers._team


def trial_of(ranker: runtime.Ranker, rows: int) -> np.ndarray:
    """Those about requests of as many rows."""
    first = Team.TRIALS + rows.bit_length() * Trial.WORDS
    return team_of(ranker)[first : first + Trial.WORDS]
