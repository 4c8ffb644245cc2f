"""Calls of which functions are brief, by their rows: `runtime/process/brief_calls.py` finds out."""

from __future__ import annotations

from rtcompile.runtime.abi.layout import RUNTIME, Layout, word

__all__ = ["BriefRows"]


class BriefRows(Layout, owner=RUNTIME):
    """Calls of MOST rows or fewer are brief, those of LEAST_LONG or more are not."""

    MOST = word()
    LEAST_LONG = word()
