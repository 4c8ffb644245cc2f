"""Encoded columns: what encoders make of raw ones, and feature kernels read.

    rows      int64 [rows + 1]     first element of each row; sequence columns only
    values    int64 [entries + 1]  first value of each entry: a row, or a sequence's element
    offsets   int64 [values + 1]   first byte of each value in the text; text columns only
    text      uint8                the bytes of all values, and PADDING behind them
    numbers   float64 [values]     the values of a number column, the weights of a weighted one

Addresses, not positions, so that columns of a request, of the item table and of a batch can stand
in one list, and so that columns can share an array: those that have one value an entry share their
`values`. MODE says which row of the column belongs to row i of the stage (see Mode).

A value of a text column that came as one string is still to be split by the kernel (SPLIT is 1);
one that came in a list is taken as it is. What is rare is brought into that form while encoding:
separators of several bytes, prefixes, weights, and columns that mix strings with lists.

`rtcompile/codegen/features/encoded.py` emits the reading, `runtime/encoding/encoded.py` reads them
too.
"""

from __future__ import annotations

from rtcompile.runtime.abi.layout import BOTH, Layout, pointer, word

__all__ = ["PADDING", "ColumnDescriptor", "Mode", "Split"]

PADDING = 16


class ColumnDescriptor(Layout, owner=BOTH):
    """A column. Of a map that all rows share, a kernel enters its hash table: ROWS is the address,
    NUMBERS the last slot, and PLACES 1 where an entry cannot be read."""

    ROWS = pointer()
    VALUES = pointer()
    OFFSETS = pointer()
    TEXT = pointer()
    NUMBERS = pointer()
    SPLIT = word()  # see Split
    MODE = word()  # see Mode
    PLACES = pointer()  # int64 [rows]; or a function, where the column stands for one


class Split:
    """How the values of a text column are meant."""

    LIST = 0  # each as it is
    TEXT = 1  # each is still to be split
    PAIRS = 2  # keys and values in turn


class Mode:
    """Which row of a column belongs to row i of the stage."""

    ROWS = 0  # row i
    ONE = 1  # row 0: the request's user
    PLACES = 2  # row places[i]: an item of the item table
