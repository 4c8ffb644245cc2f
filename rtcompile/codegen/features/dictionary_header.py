"""Where the numbered keys of a group lie: structs in the workspace, see `dictionary_encoding.py`.

Kernels alone know them.
"""

from __future__ import annotations

from rtcompile.runtime.abi.layout import COMPILED, Layout, pointer, structs, word, words

__all__ = ["KeyHeader", "LevelHeader"]


class LevelHeader(Layout, owner=COMPILED):
    """Of the keys of one level."""

    SLOTS = pointer()
    LAST = word()
    KEYS = pointer()
    COUNT = word()


class KeyHeader(Layout, owner=COMPILED):
    """Of a group of keys. It ends with a cache line."""

    NUMBERED = word()  # 1 or 0
    NUMBERS = pointer()  # int64 [rows]
    ROWS_OF = pointer()  # int64 [keys + 1], of the last level: how many rows have each
    UNUSED = word()
    LEVELS = structs(LevelHeader, 2)
    LINE_END = words(4)
