"""What the compiled function `encode` is told of columns, and what it says of them.

    encode(count, rows, single, state, plan, data, columns, edges, offsets, numbers, text)

It reads a request's values as `marshal` writes them, and writes what `encoded.py` describes; of
each column one Plan says how. What it cannot take, it leaves to the runtime.
`rtcompile/codegen/entry/encode_values.py` emits it, `runtime/encoding/encode_values.py` calls it.
"""

from __future__ import annotations

from rtcompile.runtime.abi.layout import COMPILED, RUNTIME, Layout, pointer, word, words

__all__ = ["ENCODE", "EncodeState", "Form", "Plan"]

ENCODE = "encode"  # the function's name in the module


class Plan(Layout, owner=RUNTIME):
    """How a column is encoded."""

    COLUMN = word()  # which of the stage's columns it is
    FORM = word()  # see Form
    LENGTH = word()  # the most elements of a sequence; 0: it is none
    DELIMITER = word()  # between the elements of a sequence
    SPLIT = word()  # of a column whose texts are single ones
    LISTS = word()  # whether an entry may be a list
    KEEPS_EMPTY = word()  # whether empty texts of a list, or NaN, are values
    UNUSED = word()


class Form:
    """What the values of a column are."""

    TEXT = 0
    NUMBER = 1


class EncodeState(Layout, owner=RUNTIME):
    """Of a call."""

    LEFT = word(owner=COMPILED)  # how many columns were left; -1: all, as a value is not passable
    SIZE = word(owner=COMPILED)  # edges, texts, bytes and numbers that were written
    EDGES = pointer()  # rows and values of all columns
    OFFSETS = pointer()
    NUMBERS = pointer()
    TEXT = pointer()
    MODE = word()  # of all columns
    UNUSED = word()
    FLAGS = words(owner=COMPILED)  # a column each: 1 where it was left to the runtime
