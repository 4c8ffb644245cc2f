"""How far a kernel has written the columns of a feature whose values are as many as data decides.

`rtcompile/codegen/features/feature_writers.py` writes it, `runtime/stages/extract.py` reads it.
"""

from __future__ import annotations

from rtcompile.runtime.abi.layout import COMPILED, Layout, word

__all__ = ["Cursor"]


class Cursor(Layout, owner=COMPILED):
    """An output beside the values."""

    VALUES = word()  # so many values
    ENTRIES = word()  # so many counts of values: rows, or elements of sequences
