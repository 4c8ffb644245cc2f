"""Whose turn it is to run Python: `runtime/process/python_turn.py` says what for."""

from __future__ import annotations

from rtcompile.runtime.abi.layout import BOTH, Layout, word

__all__ = ["Turn"]


class Turn(Layout, owner=BOTH):
    """Of a process."""

    COUNT = word()  # odd while a thread that ranks runs Python
    WAITING = word()  # threads that wait for Python's lock
