"""The status words of a running stage: how a kernel tells that a request cannot be scored.

The caller clears the first word and reads those up to ROW after the call; the first report of a
thread stays. `runtime/stage.py` turns them into errors. `rtcompile/codegen/status.py` emits them.
"""

from __future__ import annotations

__all__ = ["Code", "Status", "Tallied", "tally_words"]


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
    # A value cannot be read, or a sequence has fewer elements than others: where that is strict.
    UNPARSED, UNEQUAL = 5, 6
    # A number that is to be an id is no int64; strict too. GIVEN has its bits.
    NO_ID = 7


class Tallied:
    """Places behind those of Status, of a stage of features."""

    STRICT = Status.WORDS  # the caller's: whether what cannot be read is an error
    # What is told of the first such value, beside its row: its size and first bytes, one a word; or
    # the elements of its sequence, and of the longest.
    SIZE, TEXT = STRICT + 1, STRICT + 2
    TEXT_BYTES = 64
    # From here on two words a feature, which no call clears: places that took the default, and
    # values that cannot be read.
    FIRST = TEXT + TEXT_BYTES


def tally_words(features: int) -> int:
    """Words behind those of Status, of a stage of so many features."""
    return Tallied.FIRST - Status.WORDS + 2 * features if features else 0
