"""Threads that share the rows of a request with the thread that asked.

A pool of workers belongs to a stage. A request that is worth it takes the pool, and each of its
threads, the caller too, takes one tile of rows after the other until there are none left, so that a
worker that wakes late does less. Where another request has the pool, the caller works alone.

Worth it are requests of as many rows, by the bits of their count, as those of whose first TRIALS
more than half took longer than LIMIT alone.

`rtcompile/codegen/entry/worker_pool.py` emits what a worker runs: it sleeps, works on the job, and
so on until it is to stop. `runtime/process/worker_pool.py` starts it. Words that change while
others are read lie in cache lines of their own.
"""

from __future__ import annotations

from rtcompile.runtime.abi.layout import (
    BOTH,
    COMPILED,
    RUNTIME,
    Layout,
    pointer,
    pointers,
    structs,
    word,
    words,
)
from rtcompile.runtime.abi.status import Status

__all__ = ["TRIALS", "WORKER_AT", "Job", "Pool", "State", "Trial", "Worker", "WorkerAddress"]

WORKER_AT = "helper_at"  # the function in the module that tells where that of a worker is

TRIALS = 16  # calls


class WorkerAddress(Layout, owner=COMPILED):
    """Where the function lies that a worker runs."""

    WORK = pointer()


class Job(Layout, owner=COMPILED):
    """The rows that are worked on."""

    BEGIN, END = word(), word()
    TILE = word()  # rows of a tile
    ARGUMENTS = pointers()  # the stage's constants, inputs and outputs, as it takes them


class Trial(Layout, owner=COMPILED):
    """Requests of about as many rows."""

    CALLS = word()  # how many were timed, at most TRIALS
    LONG = word()  # how many of them took longer


class State:
    """What a worker has to do. The caller takes back what was given and not begun."""

    NOTHING, GIVEN, BEGUN = 0, 1, 2


class Worker(Layout, owner=RUNTIME):
    """A worker."""

    STATE = word(owner=BOTH)  # see State
    WORKSPACE = pointer()  # as the stage takes it
    STATUS = pointer(to=Status)
    POOL = pointer()  # the Pool
    SEMAPHORE = words(4)  # C's sem_t, which it waits for


class Pool(Layout, owner=RUNTIME):
    """A pool."""

    COUNT = word()  # of the workers
    LIMIT = word()  # nanoseconds
    POST, WAIT, NAP, CLOCK = pointer(), pointer(), pointer(), pointer()  # functions of C's
    JOB = pointer(to=Job)
    STOP = word()  # whether the workers are to return
    TAKEN = word(owner=BOTH)  # whether a request has the pool
    LINE_END = words(7)
    NEXT = word(owner=COMPILED)  # the tile that is taken next
    NEXT_LINE_END = words(7)
    TRIALS = structs(Trial, 64)  # by the bits of a count of rows
    WORKERS = structs(Worker, None)
