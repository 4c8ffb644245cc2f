"""The features of a request in `serve`: what a stage of them is told.

`rtcompile/codegen/entry/serve_features.py` emits its part of `serve`,
`runtime/stages/serve_features.py` fills the structs.
"""

from __future__ import annotations

from rtcompile.runtime.abi.encode_values import EncodeState, Plan
from rtcompile.runtime.abi.encoded import ColumnDescriptor
from rtcompile.runtime.abi.layout import COMPILED, RUNTIME, Layout, pointer, pointers, structs, word
from rtcompile.runtime.abi.scratch import ScratchHeader
from rtcompile.runtime.abi.value_bytes import ValueBuffer

__all__ = ["FieldNames", "SideColumns", "StageFeatures", "StoredDescriptors", "StoredNow"]


class FieldNames(Layout, owner=RUNTIME):
    """The fields of a side."""

    SIZE = word()  # of the dict
    COUNT = word()  # of the names
    # Strings of Python's, one a column of the plan and then those of fields that no column reads.
    NAMES = pointers()


class SideColumns(Layout, owner=RUNTIME):
    """The columns of one side that a stage reads. All is 0 where there is nothing to read."""

    COUNT = word()  # of the columns, which the plan has
    PLAN = pointer(to=Plan)
    NAMES = pointer(to=FieldNames)
    VALUES = pointer(to=ValueBuffer)  # which the fields are written to
    STATE = pointer(to=EncodeState)
    # The memory of an encoder.
    DATA, COLUMNS, EDGES = pointer(), pointer(), pointer()
    OFFSETS, NUMBERS, TEXT = pointer(), pointer(), pointer()


class StageFeatures(Layout, owner=RUNTIME):
    """A stage of features."""

    SCRATCH_BYTES = word()  # its size
    # What it needs: for each byte and value that was encoded, for each of the user's if all rows
    # share them, for each row, and in any case.
    PER_BYTE, PER_SHARED, PER_ROW, FIXED = word(), word(), word(), word()
    NEEDED = word(owner=COMPILED)  # that, where it is too small
    LONGEST = word(owner=COMPILED)  # elements, values and bytes of the longest item
    ITEMS = word()  # columns of the items
    ITEM_PLACES = pointer()  # which columns those of the items are
    COLUMNS = pointer(to=ColumnDescriptor)  # of the columns of all sides
    SCRATCH = pointer(to=ScratchHeader)
    USER = structs(SideColumns)
    CONTEXT = structs(SideColumns)


class StoredDescriptors(Layout, owner=RUNTIME):
    """The encoded columns of the item table."""

    OBJECT = pointer()  # Python's object that keeps what they point into
    LONGEST = word()  # see StageFeatures
    COLUMNS = structs(ColumnDescriptor, None)


class StoredNow(Layout, owner=RUNTIME):
    """The stored columns that a request finds."""

    STORED = pointer(to=StoredDescriptors)
