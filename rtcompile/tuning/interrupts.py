"""Ctrl-C that is not lost.

Python raises KeyboardInterrupt wherever the main thread happens to be. Where that is a destructor,
or a function that C code called, the exception is printed and forgotten, and the run would go on.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

__all__ = ["Interrupts"]


class Interrupts:
    """While it is entered, in the main thread: remembers an interrupt beside raising it."""

    def __init__(self) -> None:
        self._told = False
        self._before: Any = None

    def __enter__(self) -> Interrupts:
        # Others cannot have handlers, and get no interrupts.
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def check(self) -> None:
        """Raise KeyboardInterrupt where one was raised before, and lost."""
        if self._told:
            raise KeyboardInterrupt

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._told = True
        raise KeyboardInterrupt
