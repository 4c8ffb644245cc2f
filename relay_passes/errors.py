"""Errors of the graph passes.

PassError
└── RowDependenceError   an output row depends on other rows of the batch
"""

from __future__ import annotations

__all__ = ["PassError", "RowDependenceError"]


class PassError(Exception):
    """Root of the errors of this package."""


class RowDependenceError(PassError):
    """The graph mixes the rows of a batch, so it cannot run in tiles of rows."""
