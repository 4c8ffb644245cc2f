"""What the compiled function `item_index` is told of ids and of an index, and what it says of them.

    item_index(action, ids, first, words, index)

`ids` is the address of a list or tuple, or 0 where the bytes of one stand there already. `words`
are those of Ids, `index` those of Index, both int64 at these addresses.
`rtcompile/codegen/features/item_index.py` emits it, `runtime/item_index.py` calls it.
"""

from __future__ import annotations

from runtime.value_bytes import Room

__all__ = ["DIGITS_BYTES", "ITEM_INDEX", "SLOT_WORDS", "Action", "Ids", "Index", "Outcome", "Slot"]

ITEM_INDEX = "item_index"  # the function's name in the module
DIGITS_BYTES = 32  # of room for an id that is an integer
SLOT_WORDS = 4


class Action:
    """What becomes of the ids."""

    FIND = 0
    REMOVE = 1
    ENTER = 2  # under the places from `first` on


class Ids(Room):
    """Words of a list of ids, behind those of its bytes."""

    OUTCOME = 4  # see Outcome
    COUNT = 5  # of the ids
    ROOM = 6  # how many there is room for
    PLACES = 7  # address: a place an id, -1 where it has none
    HASHES = 8  # address: of as many
    DIGITS = 9  # where there is room for integers as texts, in bytes from the first one on
    MISSING = 10  # ids without a place
    WORDS = 11


class Index:
    """Words of an index."""

    SLOTS = 0  # address: SLOT_WORDS a slot, see Slot
    LAST = 1  # the last slot; their count is a power of two, and half of them stay empty
    TEXT = 2  # address: the ids' texts, one behind the other; set by compiled code
    TEXT_BYTES = 3  # of them so far
    TEXT_ROOM = 4
    LIVE = 5  # ids that have a place
    NEW_TEXT = 6  # address: where the texts are from the next ENTER on
    WORDS = 7


class Slot:
    """Words of a slot, as a probe table of one key has them."""

    HASH = 0  # 0 of an empty one
    PIECE = 1  # of the text: (first byte << 32) + size
    PLACE = 3  # -1 of an id that was removed


class Outcome:
    """How it went. Nothing was done unless it is DONE."""

    DONE = 0
    UNWRITTEN = 1  # the list could not be written
    ROOM = 2  # COUNT ids have not enough
    OTHER = 3  # an id is neither a text nor an integer of 60 bits
    TEXT = 4  # the index has no room for the texts
