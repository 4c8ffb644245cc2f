"""Ids and their index, as the compiled function `item_index` takes them.

    item_index(action, ids, first, list, index)

`ids` is the address of a list or tuple, or 0 where the bytes of one stand in the buffer already.
`list` is the address of an IdList, `index` that of an Index.
`rtcompile/codegen/entry/item_index.py` emits it, `runtime/items/item_index.py` calls it.
"""

from __future__ import annotations

from rtcompile.runtime.abi.layout import BOTH, COMPILED, RUNTIME, Layout, pointer, word, words
from rtcompile.runtime.abi.value_bytes import ValueBuffer

__all__ = ["DIGITS_BYTES", "ITEM_INDEX", "Action", "IdList", "IdsOutcome", "Index", "Slot"]

ITEM_INDEX = "item_index"  # the function's name in the module
DIGITS_BYTES = 32  # of room for an id that is an integer


class Action:
    """What becomes of the ids."""

    FIND = 0
    REMOVE = 1
    ENTER = 2  # under the places from `first` on


class IdList(ValueBuffer, owner=RUNTIME):
    """A list of ids, in the buffer that it begins with, and their places."""

    OUTCOME = word(owner=COMPILED)  # see IdsOutcome
    COUNT = word(owner=BOTH)  # of the ids
    ROOM = word()  # how many there is room for
    PLACES = pointer()  # a place an id, -1 where it has none
    HASHES = pointer()  # as many
    DIGITS = word()  # where there is room for integers as texts, in bytes from the first one on
    MISSING = word(owner=COMPILED)  # ids without a place


class Slot(Layout, owner=COMPILED):
    """A slot of a hash table: of an index, or of a map that all rows of a request share."""

    HASH = word()  # 0 of an empty one
    KEYS = words(2)  # pieces of the table's text: (first byte << 32) + size
    VALUE = word()  # of an index: the place, -1 of an id that was removed


class Index(Layout, owner=RUNTIME):
    """An index of ids."""

    SLOTS = pointer(to=Slot)
    LAST = word()  # the last slot; their count is a power of two, and half of them stay empty
    TEXT = pointer(owner=BOTH)  # the ids' texts, one behind the other
    TEXT_BYTES = word(owner=COMPILED)  # of them so far
    TEXT_ROOM = word()
    LIVE = word(owner=COMPILED)  # ids that have a place
    NEW_TEXT = pointer()  # where the texts are from the next ENTER on


class IdsOutcome:
    """How it went. Nothing was done unless it is DONE."""

    DONE = 0
    UNWRITTEN = 1  # the list could not be written
    ROOM = 2  # COUNT ids have not enough
    OTHER = 3  # an id is neither a text nor an integer of 60 bits
    TEXT = 4  # the index has no room for the texts
