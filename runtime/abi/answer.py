"""The arrays that the compiled function `answer` makes and fills.

    answer(user, items, context)    # None where the request's outcome says what is in the way

`rtcompile/codegen/entry/answer.py` emits it, `runtime/request/answer.py` says what arrays it makes.
"""

from __future__ import annotations

from rtcompile.runtime.abi.layout import COMPILED, RUNTIME, Layout, pointer, word

__all__ = ["Output"]


class Output(Layout, owner=RUNTIME):
    """An output of the cross stage, as Python gets it."""

    NAME = pointer()  # a string of Python's
    FROM = pointer()  # what the cross stage writes
    ROW_BYTES = word()
    SHARED_BYTES = word()  # where all rows share it
    TO = pointer(owner=COMPILED)  # the array's values
    DTYPE = pointer()  # numpy's
    DIMENSIONS = word()  # of the array
    EXTENTS = pointer()  # int64
    BY_ROWS = word()  # whether the first extent is that of the rows, which compiled code enters
