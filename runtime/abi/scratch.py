"""The head of the memory that feature kernels join texts in, keep numbers in, and build tables in.

`rtcompile/codegen/features/scratch.py` emits its use, `runtime/memory/scratch.py` allocates it.
"""

from __future__ import annotations

from rtcompile.runtime.abi.layout import BOTH, RUNTIME, Layout, pointer, word

__all__ = ["HEADER_BYTES", "ScratchHeader"]

HEADER_BYTES = 64  # room for the head, so that what follows is aligned


class ScratchHeader(Layout, owner=RUNTIME):
    """Its words."""

    TOP = word(owner=BOTH)  # where the part of an entry begins, in bytes
    ADDRESS = pointer()  # of the memory itself
