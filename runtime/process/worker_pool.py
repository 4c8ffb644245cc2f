"""Threads that help with the rows of a request: `abi/worker_pool.py` says how they are told.

They are no threads of Python's: they run compiled code alone, and sleep in it. They end with the
object that has them, and with the process; one that was forked starts its own.
"""

from __future__ import annotations

import ctypes
import os
import signal
import weakref
from collections.abc import Sequence

from rtcompile.runtime.abi.worker_pool import Job, Pool, Worker
from rtcompile.runtime.errors import RequestError
from rtcompile.runtime.memory.struct_memory import StructMemory, allocate

__all__ = ["WorkerPool"]

# To wake a thread takes about 50 microseconds, and then it has less than half of the work.
_LIMIT = 100_000  # nanoseconds

_FUNCTIONS = {  # of C's
    Pool.POST: "sem_post",
    Pool.WAIT: "sem_wait",
    Pool.NAP: "usleep",
    Pool.CLOCK: "clock_gettime",
}
_C = ctypes.CDLL(None)

_all: weakref.WeakSet[WorkerPool] = weakref.WeakSet()


class WorkerPool:
    """A worker for each of `places`, the addresses of its workspace and its status.

    `work`: where the function that they run lies. `arguments`: how many addresses their job has.
    `kept` lives as long as they do. The Pool lies at `address`; `words`: its.

    Raises RequestError where a thread cannot be started.
    """

    def __init__(
        self, work: int, places: Sequence[tuple[int, int]], arguments: int, kept: object
    ) -> None:
        self._work, job = work, allocate(Job, arguments)
        functions = {field: _address_of(name) for field, name in _FUNCTIONS.items()}
        given = {Pool.LIMIT: _LIMIT, Pool.JOB: job.address, **functions}
        self._pool = allocate(Pool, Worker.WORDS * len(places), given)
        self.words, self.address = self._pool.array, self._pool.address
        self._workers = range(len(places))
        for number, (workspace, status) in enumerate(places):
            self.words[Pool.WORKERS.of(Worker.WORKSPACE, number)] = workspace
            self.words[Pool.WORKERS.of(Worker.STATUS, number)] = status
            self.words[Pool.WORKERS.of(Worker.POOL, number)] = self.address
        self._threads: list[ctypes.c_ulong] = []
        weakref.finalize(self, _stop, self._pool, self._threads, (job, kept))
        self._start()
        if len(self._threads) < len(places):
            raise RequestError(f"threads={len(places) + 1}: a thread could not be started")
        _all.add(self)

    def _start(self) -> None:
        """As many threads as there can be."""
        # No signal ends up in a thread that does not run Python.
        masked = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            for number in self._workers:
                at, thread = self.address + Pool.WORKERS.at(number).byte, ctypes.c_ulong()
                _C.sem_init(_semaphore(self._pool, number), 0, 0)
                function, own = ctypes.c_void_p(self._work), ctypes.c_void_p(at)
                if _C.pthread_create(ctypes.byref(thread), None, function, own):
                    break
                self._threads.append(thread)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, masked)
        self.words[Pool.COUNT] = len(self._threads)

    def start_again(self) -> None:
        """In a process that was forked, which has none of the threads."""
        self._threads.clear()
        self.words[Pool.TAKEN] = 0
        for number in self._workers:
            self.words[Pool.WORKERS.of(Worker.STATE, number)] = 0
        self._start()


def _semaphore(pool: StructMemory, number: int) -> ctypes.c_void_p:
    return ctypes.c_void_p(pool.address + Pool.WORKERS.of(Worker.SEMAPHORE, number).byte)


def _address_of(name: str) -> int:
    return ctypes.cast(getattr(_C, name), ctypes.c_void_p).value or 0


def _stop(pool: StructMemory, threads: list[ctypes.c_ulong], _kept: object) -> None:
    """Have all threads return, and wait for them: no request has them."""
    pool.words[Pool.STOP] = 1
    for number in range(len(threads)):
        _C.sem_post(_semaphore(pool, number))
    for thread in threads:
        _C.pthread_join(thread, None)


def _start_again() -> None:
    for pool in list(_all):
        pool.start_again()


os.register_at_fork(after_in_child=_start_again)
