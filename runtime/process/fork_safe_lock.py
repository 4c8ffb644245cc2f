"""A lock that a fork leaves whole, in both processes.

A fork copies memory as it is and one thread only: a lock that another thread held would be held in
the child for good, and what it guards would be half changed. So whoever forks first takes every
such lock, and both processes have them free, each of its own.
"""

from __future__ import annotations

import os
import threading
import weakref
from types import TracebackType

__all__ = ["ForkSafeLock"]

_all: weakref.WeakSet[ForkSafeLock] = weakref.WeakSet()
_held: list[ForkSafeLock] = []  # by a fork, from before it until after


class ForkSafeLock:
    """As `threading.RLock` in a with statement. Its holder must not wait for another one of these.

    It is reentrant: a fork may come out of a signal handler of the thread that holds it.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        _all.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lock.release()


def _before() -> None:
    for lock in list(_all):
        lock._lock.acquire()
        _held.append(lock)


def _in_parent() -> None:
    while _held:
        _held.pop()._lock.release()


def _in_child() -> None:
    for lock in _held:
        lock._lock = threading.RLock()
    _held.clear()


os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
