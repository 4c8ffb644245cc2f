"""Where the numbered keys of a group lie: words in the workspace, see `key_numbers.py`."""

from __future__ import annotations

__all__ = ["HEADER_WORDS", "LEVEL_WORDS", "Of"]

LEVEL_WORDS = 4


class Of:
    """Places in a header. A level's words follow those of the level above."""

    NUMBERED = 0  # 1 or 0
    NUMBERS = 1  # address of int64 [rows]
    ROWS_OF = 2  # address of int64 [keys + 1], of the last level: how many rows have each
    LEVELS = 4
    SLOTS, LAST, KEYS, COUNT = range(LEVEL_WORDS)


# Two levels at most.
HEADER_WORDS = 16
