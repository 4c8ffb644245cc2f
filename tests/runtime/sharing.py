"""Requests that threads share, however long they take."""

from __future__ import annotations

import numpy as np

from rtcompile import runtime
from rtcompile.runtime.abi.worker_pool import TRIALS, Pool, Trial

__all__ = ["pool_of", "share_from", "trial_of"]


def share_from(ranker: runtime.Ranker, rows: int) -> None:
    """Requests of so many rows are known to be worth it, and those of half as many not to be."""
    for count in (1 << bits for bits in range(41)):
        trial_of(ranker, count)[:] = TRIALS, TRIALS if 2 * count > rows else 0


def pool_of(ranker: runtime.Ranker) -> np.ndarray:
    """The words of the pool of workers."""
    assert ranker._stage.pool is not None
    return ranker._stage.pool.words


def trial_of(ranker: runtime.Ranker, rows: int) -> np.ndarray:
    """Those about requests of as many rows."""
    trials = pool_of(ranker)[Pool.TRIALS.slice()].reshape(-1, Trial.WORDS)
    return trials[rows.bit_length()]
