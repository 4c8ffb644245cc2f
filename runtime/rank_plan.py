"""What the compiled function `rank` is told: Python calls it in the place of `Ranker.rank`.

It takes memory that no request uses, answers in it, and gives it back. What it cannot answer it
hands over to `Ranking.rank`, which makes memory and room, and tells what is wrong.
`rtcompile/codegen/rank_entry.py` emits it, `runtime/rank_entry.py` makes a function of Python of
it. The words are int64.
"""

from __future__ import annotations

__all__ = ["ADDRESSES", "Address", "Current", "Entry"]

ADDRESSES = "python_addresses"  # the function in the module that tells where those of Address are


class Address:
    """Of functions that Python may call as its own."""

    RANK, ANSWER = 0, 1
    ALL = 2


class Entry:
    """Addresses, of Python's objects but for the first three, and at last a number."""

    PYTHON = 0  # words of `python_objects.Known`
    BRIEF = 1  # words of `brief_calls`
    CURRENT = 2  # words of Current
    # A list of the memories that no request uses, and its method: tuples, of which the first value
    # is the array of `serve_plan.Word`.
    IDLE, POP = 3, 4
    ELSE = 5  # what takes a request that is left
    NAMES = 6  # of the three arguments
    HAS_CONTEXT = 9  # whether requests have fields of the context
    WORDS = 10


class Current:
    """Words about the items that requests see."""

    OBJECT = 0  # address of the ItemState
    VERSION = 1  # of it; 0 while it is exchanged
    WORDS = 2
