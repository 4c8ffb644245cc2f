"""What the compiled function `rank` is told: Python calls it in the place of `Ranker.rank`.

It takes memory that no request uses, answers in it, and gives it back. What it cannot answer it
hands over to `Ranking.rank`, which makes memory and room, and tells what is wrong.
`rtcompile/codegen/entry/rank.py` emits it, `runtime/request/rank.py` makes a function of Python of
it.
"""

from __future__ import annotations

from rtcompile.runtime.abi.brief_calls import BriefRows
from rtcompile.runtime.abi.layout import COMPILED, PYTHON, RUNTIME, Layout, pointer, pointers, word
from rtcompile.runtime.abi.python_objects import ListObject, PythonApi

__all__ = ["ADDRESSES", "Addresses", "Arguments", "Current", "Entry", "Result"]

ADDRESSES = "python_addresses"  # the function in the module that tells where those are


class Arguments(Layout, owner=PYTHON):
    """What a call is given: objects of Python's."""

    USER = pointer()
    ITEMS = pointer()
    CONTEXT = pointer()


class Result(Layout, owner=COMPILED):
    """What a call gives back."""

    OBJECT = pointer()  # 0 at first


class Addresses(Layout, owner=COMPILED):
    """Of functions that Python may call as its own."""

    RANK = pointer()
    ANSWER = pointer()


class Current(Layout, owner=RUNTIME):
    """The items that requests see."""

    OBJECT = pointer()  # the ItemState
    VERSION = word()  # of it; 0 while it is exchanged


class Entry(Layout, owner=RUNTIME):
    """What a ranker's `rank` has. All but the first three and the last are objects of Python."""

    PYTHON = pointer(to=PythonApi)
    BRIEF = pointer(to=BriefRows)
    CURRENT = pointer(to=Current)
    # A list of the memories that no request uses, and its method: tuples, of which the first value
    # is the array with the Request.
    IDLE = pointer(to=ListObject)
    POP = pointer()
    ELSE = pointer()  # what takes a request that is left
    NAMES = pointers(len(Arguments.FIELDS))  # of the arguments
    HAS_CONTEXT = word()  # whether requests have fields of the context
