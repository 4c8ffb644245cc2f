"""The status of a running stage: how a kernel tells that a request cannot be scored.

The caller clears CODE and reads a report after the call; the first report of a thread stays.
`rtcompile/codegen/emit/status.py` emits reports, `runtime/stages/stage.py` turns them into errors.
Behind the status stand counts: of features and their values, of what a calibrating build saw, and
of the steps of a profiled one.
"""

from __future__ import annotations

from rtcompile.runtime.abi.layout import (
    BOTH,
    COMPILED,
    RUNTIME,
    Field,
    Layout,
    pointer,
    structs,
    word,
    words,
)
from rtcompile.runtime.abi.python_turn import Turn

__all__ = [
    "REPORT",
    "SHOWN_BYTES",
    "Code",
    "FeatureCounts",
    "Probe",
    "Status",
    "Tallied",
    "probes_from",
    "tally_words",
]


class Status(Layout, owner=COMPILED):
    """What is told."""

    CODE = word(owner=BOTH)  # see Code; 0 where all went well
    NUMBER = word()  # of the look-up or feature
    GIVEN = word()  # the id; of a float the bits, as float64
    ROW = word()  # of the request, or -1 where the value is of no row
    TURN = pointer(to=Turn, owner=RUNTIME)
    POOL = pointer(owner=RUNTIME)  # of `worker_pool.py`, or 0


# What a report writes.
REPORT: tuple[Field, ...] = (Status.CODE, Status.NUMBER, Status.GIVEN, Status.ROW)


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


class FeatureCounts(Layout, owner=COMPILED):
    """What is counted of a feature. No call clears it."""

    DEFAULTED = word()  # places that took the default
    UNPARSED = word()  # values that cannot be read


SHOWN_BYTES = 64  # of a value that cannot be read


class Tallied(Status, owner=COMPILED):
    """The status of a stage of features."""

    STRICT = word(owner=RUNTIME)  # whether what cannot be read is an error
    # What is told of the first such value, beside its row: its size and first bytes, one a word; or
    # the elements of its sequence, and of the longest.
    SIZE = word()
    TEXT = words(SHOWN_BYTES)
    FEATURES = structs(FeatureCounts, None)


class Probe(Layout, owner=COMPILED):
    """A step of a profiled stage."""

    TICKS = word()  # of the CPU's counter
    RUNS = word()


def probes_from(features: int, calibration_words: int) -> int:
    """Where the Probes begin, in words, of a stage that counts so many features."""
    return Status.WORDS + tally_words(features) + calibration_words


def tally_words(features: int) -> int:
    """Words behind those of Status, of a stage of so many features."""
    return Tallied.WORDS - Status.WORDS + FeatureCounts.WORDS * features if features else 0
