"""The status words of a running stage: how a kernel tells that a request cannot be scored.

The caller clears the first word and reads those up to ROW after the call; the first report of a
thread stays. `runtime/stage.py` turns them into errors. `rtcompile/codegen/status.py` emits them.
"""

from __future__ import annotations

__all__ = ["Code", "Status"]


class Status:
    """Places among the words, int64."""

    CODE = 0  # see Code; 0 where all went well
    NUMBER = 1  # of the look-up or feature
    GIVEN = 2  # the id; of a float the bits, as float64
    ROW = 3  # of the request, or -1 where the value is of no row
    TURN = 4  # the caller's: the address of the words of `python_turn.py`
    TEAM = 5  # the caller's: that of the words of `team_plan.py`, or 0
    WORDS = 6

    REPORT = (CODE, NUMBER, GIVEN, ROW)  # what a report writes


class Code:
    """What is wrong."""

    ID_OUT_OF_RANGE = 1
    NOT_AN_ID = 2
    NO_VALUE = 3
    DIVISION_BY_ZERO = 4
