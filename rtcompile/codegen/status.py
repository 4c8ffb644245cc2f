"""The status words: how a kernel tells that a request cannot be scored.

status[0] is a code, status[1] the number of the look-up or feature, status[2] the id. The caller
clears the first word and reads these after the call; the last report stays. `runtime/stage.py`
turns them into errors. The caller sets the others: status[3], the address of the words of
`python_turn.py`, and status[4], that of the words of `team_plan.py` or 0.
"""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as T

__all__ = ["STATUS_TEAM", "STATUS_TURN", "STATUS_WORDS", "Status", "report"]

STATUS_TURN, STATUS_TEAM = 3, 4
STATUS_WORDS = 5


class Status:
    """Codes of the first word."""

    ID_OUT_OF_RANGE = 1
    NOT_AN_ID = 2
    NO_VALUE = 3


def report(status: Any, code: Any, number: Any, given: Any) -> None:
    """Emit the three stores."""
    first = tirx.const(code, "int64") if isinstance(code, int) else code
    T.buffer_store(status, first, [0])
    T.buffer_store(status, number, [1])
    T.buffer_store(status, given, [2])
