"""Requests that threads share, however long they take."""

from __future__ import annotations

import runtime
from runtime.brief_calls import LEAST_LONG, MOST

__all__ = ["share_from"]


def share_from(ranker: runtime.Ranker, rows: int) -> None:
    """Requests of so many rows are known to be worth it, and those of fewer not to be."""
    assert ranker._stage.helpers is not None
    words = ranker._stage.helpers.alone.words
    words[MOST], words[LEAST_LONG] = rows - 1, rows
