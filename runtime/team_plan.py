"""What compiled code is told of the threads that help with the rows of a request.

A team of helpers belongs to a stage. A request that is worth it takes the team, and each of its
threads, the caller too, takes one tile of rows after the other until there are none left, so that a
helper that wakes late does less. Where another request has the team, the caller works alone.

Worth it are requests of as many rows, by the bits of their count, as those of whose first TRIALS
more than half took longer than LIMIT alone.

`rtcompile/codegen/share_tiles.py` emits what a helper runs: it sleeps, works on the job, and so on
until it is to stop. `runtime/helpers.py` starts it. The words are int64; those that change while
others are read lie in cache lines of their own.
"""

from __future__ import annotations

__all__ = ["HELPER_AT", "TRIALS", "Helper", "Job", "State", "Team", "Trial"]

HELPER_AT = "helper_at"  # the function in the module that tells where that of a helper is

TRIALS = 16  # calls


class Team:
    """Words about a team."""

    HELPERS = 0  # how many there are
    LIMIT = 1  # nanoseconds
    # Addresses of C's sem_post, sem_wait, usleep and clock_gettime.
    POST, WAIT, NAP, CLOCK = 2, 3, 4, 5
    JOB = 6  # address of words of Job
    STOP = 7  # whether the helpers are to return
    TAKEN = 8  # whether a request has the team
    NEXT = 16  # the tile that is taken next
    TRIALS = 24  # words of Trial, by the bits of a count of rows
    FIRST = TRIALS + 128  # words of Helper, of one after the other


class Trial:
    """Words about requests of about as many rows."""

    CALLS = 0  # how many were timed, at most TRIALS
    LONG = 1  # how many of them took longer
    WORDS = 2


class Helper:
    """Words about a helper."""

    STATE = 0  # see State
    WORKSPACE, STATUS = 1, 2  # addresses, as the stage takes them
    TEAM = 3  # address of the team's words
    SEMAPHORE = 4  # C's, which it waits for
    WORDS = 8


class State:
    """What a helper has to do. The caller takes back what was given and not begun."""

    NOTHING, GIVEN, BEGUN = 0, 1, 2


class Job:
    """Words about the rows that are worked on."""

    BEGIN, END = 0, 1
    TILE = 2  # rows of a tile
    ARGUMENTS = 3  # addresses of the stage's constants, inputs and outputs, as it takes them
