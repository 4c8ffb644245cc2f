"""Threads that help with the rows of a request: `team_plan.py` says how they are told.

They sleep in compiled code, without Python's lock, and end with the object that has them.
"""

from __future__ import annotations

import ctypes
import os
import threading
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from runtime.arrays import aligned_empty
from runtime.brief_calls import BriefCalls
from runtime.input_table import address
from runtime.team_plan import Helper, Job, Team

__all__ = ["Helpers"]

# To wake a thread takes 50 microseconds or so, and it does less than half of the work.
_ALONE = 100_000  # nanoseconds: a call that takes at most so long is left to its thread


class Helpers:
    """A helper for each of `places`, the addresses of its workspace and its status.

    `function`: of the module, what they run. `arguments`: how many addresses their job has. `kept`
    lives as long as they do. The words are at `address`. `alone`: which calls are not worth them,
    which the caller has to find out.
    """

    def __init__(
        self, function: Any, places: Sequence[tuple[int, int]], arguments: int, kept: object
    ) -> None:
        self.alone = BriefCalls(_ALONE)
        team = aligned_empty(Team.FIRST + len(places) * Helper.WORDS, "int64")
        job = aligned_empty(Job.ARGUMENTS + arguments, "int64")
        team[:] = job[:] = 0
        team[Team.ALONE], team[Team.JOB] = self.alone.address, address(job)
        team[[Team.POST, Team.WAIT, Team.NAP]] = [*map(_address_of, _FUNCTIONS)]
        self.address, self._team = address(team), team
        function.release_gil = True
        own = [Team.FIRST + which * Helper.WORDS for which in range(len(places))]
        for place, (workspace, status) in zip(own, places, strict=True):
            team[[place + Helper.WORKSPACE, place + Helper.STATUS]] = workspace, status
            _C.sem_init(_semaphore(team, place), 0, 0)
        weakref.finalize(self, _stop, team).atexit = False
        for which, place in enumerate(own):
            work = (function, self.address, self.address + 8 * place, (kept, team, job, self.alone))
            name = f"rtcompile-{which}"
            threading.Thread(target=_work, args=work, name=name, daemon=True).start()
        team[Team.HELPERS] = len(places)
        _all.add(self)

    def forget(self) -> None:
        """Of a process that has no other threads any more."""
        self._team[Team.HELPERS] = 0


# Functions of C's, in the order of POST, WAIT and NAP.
_FUNCTIONS = ("sem_post", "sem_wait", "usleep")
_C = ctypes.CDLL(None)
_all: weakref.WeakSet[Helpers] = weakref.WeakSet()


def _address_of(name: str) -> int:
    return ctypes.cast(getattr(_C, name), ctypes.c_void_p).value or 0


def _work(function: Any, team: int, helper: int, _kept: object) -> None:
    """What a thread runs."""
    function(team, helper)


def _stop(team: npt.NDArray[np.int64]) -> None:
    """Have all threads return, those too that are at work."""
    team[Team.STOP] = 1
    for place in range(Team.FIRST, len(team), Helper.WORDS):
        _C.sem_post(_semaphore(team, place))


def _semaphore(team: npt.NDArray[np.int64], helper: int) -> ctypes.c_void_p:
    return ctypes.c_void_p(address(team) + 8 * (helper + Helper.SEMAPHORE))


def _forget_all() -> None:
    for helpers in list(_all):
        helpers.forget()


os.register_at_fork(after_in_child=_forget_all)
