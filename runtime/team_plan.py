"""What compiled code is told of the threads that help with the rows of a request.

A team of helpers belongs to a stage. A request that is worth it takes the team, and each of its
threads, the caller too, takes one tile of rows after the other until there are none left, so that a
helper that wakes late does less. Where another request has the team, the caller works alone.

    help_rows(team, helper)

is what a helper runs: it sleeps, works on the job, and so on until it is to stop.
`rtcompile/codegen/share_tiles.py` emits it, `runtime/helpers.py` calls it. The words are int64;
those that change while others are read lie in cache lines of their own.
"""

from __future__ import annotations

__all__ = ["HELP_ROWS", "Helper", "Job", "State", "Team"]

HELP_ROWS = "help_rows"  # the function's name in the module


class Team:
    """Words about a team."""

    HELPERS = 0  # how many there are
    ALONE = 1  # words of `brief_calls`: calls of so many rows or fewer are not worth it
    POST, WAIT, NAP = 2, 3, 4  # addresses of C's sem_post, sem_wait and usleep
    JOB = 5  # address of words of Job
    STOP = 6  # whether the helpers are to return
    TAKEN = 8  # whether a request has the team
    NEXT = 16  # the tile that is taken next
    FIRST = 24  # words of Helper, of one after the other


class Helper:
    """Words about a helper."""

    STATE = 0  # see State
    WORKSPACE, STATUS = 1, 2  # addresses, as the stage takes them
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
