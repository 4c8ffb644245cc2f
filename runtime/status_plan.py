"""The status words of a running stage: how a kernel tells that a request cannot be scored.

The caller clears the first word and reads those of CODE, NUMBER and GIVEN after the call; the last
report stays. `runtime/stage.py` turns them into errors. `rtcompile/codegen/status.py` emits them.
"""

from __future__ import annotations

__all__ = ["Code", "Status"]


class Status:
    """Places among the words, int64."""

    CODE = 0  # see Code; 0 where all went well
    NUMBER = 1  # of the look-up or feature
    GIVEN = 2  # the id
    TURN = 3  # the caller's: the address of the words of `python_turn.py`
    TEAM = 4  # the caller's: that of the words of `team_plan.py`, or 0
    WORDS = 5


class Code:
    """What is wrong."""

    ID_OUT_OF_RANGE = 1
    NOT_AN_ID = 2
    NO_VALUE = 3
