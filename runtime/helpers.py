"""Threads that help with the rows of a request: `team_plan.py` says how they are told.

They are no threads of Python's: they run compiled code alone, and sleep in it. They end with the
object that has them, and with the process; one that was forked starts its own.
"""

from __future__ import annotations

import ctypes
import os
import signal
import weakref
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from runtime.arrays import aligned_empty
from runtime.errors import RequestError
from runtime.input_table import address
from runtime.team_plan import Helper, Job, Team

__all__ = ["Helpers"]

# To wake a thread takes about 50 microseconds, and then it has less than half of the work.
_LIMIT = 100_000  # nanoseconds

# Of C's, in the order of POST, WAIT, NAP and CLOCK.
_FUNCTIONS = ("sem_post", "sem_wait", "usleep", "clock_gettime")
_C = ctypes.CDLL(None)

_all: weakref.WeakSet[Helpers] = weakref.WeakSet()


class Helpers:
    """A helper for each of `places`, the addresses of its workspace and its status.

    `work`: where the function that they run lies. `arguments`: how many addresses their job has.
    `kept` lives as long as they do. The words are at `address`.

    Raises RequestError where a thread cannot be started.
    """

    def __init__(
        self, work: int, places: Sequence[tuple[int, int]], arguments: int, kept: object
    ) -> None:
        self._work = work
        self._team = team = aligned_empty(Team.FIRST + len(places) * Helper.WORDS, "int64")
        job = aligned_empty(Job.ARGUMENTS + arguments, "int64")
        team[:] = job[:] = 0
        self.address = address(team)
        team[Team.LIMIT], team[Team.JOB] = _LIMIT, address(job)
        team[[Team.POST, Team.WAIT, Team.NAP, Team.CLOCK]] = [*map(_address_of, _FUNCTIONS)]
        for first, (workspace, status) in zip(_helpers(team), places, strict=True):
            words = team[first : first + Helper.WORDS]
            words[Helper.WORKSPACE], words[Helper.STATUS] = workspace, status
            words[Helper.TEAM] = self.address
        self._threads: list[ctypes.c_ulong] = []
        weakref.finalize(self, _stop, team, self._threads, (job, kept))
        self._start()
        if len(self._threads) < len(places):
            raise RequestError(f"threads={len(places) + 1}: a thread could not be started")
        _all.add(self)

    def _start(self) -> None:
        """As many threads as there can be."""
        # No signal ends up in a thread that does not run Python.
        masked = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            for first in _helpers(self._team):
                at, thread = address(self._team) + 8 * first, ctypes.c_ulong()
                _C.sem_init(_semaphore(self._team, first), 0, 0)
                function, own = ctypes.c_void_p(self._work), ctypes.c_void_p(at)
                if _C.pthread_create(ctypes.byref(thread), None, function, own):
                    break
                self._threads.append(thread)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, masked)
        self._team[Team.HELPERS] = len(self._threads)

    def start_again(self) -> None:
        """In a process that was forked, which has none of the threads."""
        self._threads.clear()
        self._team[Team.TAKEN] = 0
        self._team[[first + Helper.STATE for first in _helpers(self._team)]] = 0
        self._start()


def _helpers(team: npt.NDArray[np.int64]) -> range:
    """Where the words of each begin."""
    return range(Team.FIRST, len(team), Helper.WORDS)


def _semaphore(team: npt.NDArray[np.int64], helper: int) -> ctypes.c_void_p:
    return ctypes.c_void_p(address(team) + 8 * (helper + Helper.SEMAPHORE))


def _address_of(name: str) -> int:
    return ctypes.cast(getattr(_C, name), ctypes.c_void_p).value or 0


def _stop(team: npt.NDArray[np.int64], threads: list[ctypes.c_ulong], _kept: object) -> None:
    """Have all threads return, and wait for them: no request has them."""
    team[Team.STOP] = 1
    for first, _ in zip(_helpers(team), threads, strict=False):
        _C.sem_post(_semaphore(team, first))
    for thread in threads:
        _C.pthread_join(thread, None)


def _start_again() -> None:
    for helpers in list(_all):
        helpers.start_again()


os.register_at_fork(after_in_child=_start_again)
