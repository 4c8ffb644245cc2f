"""Memory for the inputs of a few rows, used again by one call after another.

Of many inputs with a few rows each, allocating an aligned array an input and asking it for its
address take far longer than the network. Here the arrays lie in one block, and their addresses
stand in the table for good.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rtcompile.runtime.memory.arrays import aligned_block
from rtcompile.runtime.memory.input_table import PortAddresses

__all__ = ["SmallInputs", "small_rows"]

_MOST_ROWS = 64
_MOST_BYTES = 1 << 16


def small_rows(row_bytes: Sequence[int]) -> int:
    """Up to how many rows a call's inputs are copied into the block."""
    return min(_MOST_ROWS, _MOST_BYTES // max(1, sum(row_bytes)))


class SmallInputs:
    """The inputs `ports` of up to `rows` rows. One call at a time may use it."""

    def __init__(self, ports: Sequence[Any], row_bytes: Sequence[int], rows: int) -> None:
        arrays, addresses = aligned_block([(rows * p.row_elements, p.dtype) for p in ports])
        self._rows = rows
        self._places = [
            (
                port.name,
                array.dtype,
                len(port.shape) + 1,
                port.shape,
                array.reshape(rows, *port.shape),
            )
            for port, array in zip(ports, arrays, strict=True)
        ]
        self._table = PortAddresses(row_bytes)
        self._table.addresses[:] = addresses
        self.tensor = self._table.tensor

    def fill(self, given: Mapping[str, Any]) -> int | None:
        """Copy arrays of the right types and shapes, and say how many rows they have.

        None where one is anything else, or there are too many rows.
        """
        rows = -1
        for name, dtype, rank, shape, place in self._places:
            array = given[name]
            if type(array) is not np.ndarray or array.ndim != rank or array.dtype != dtype:
                return None
            extents = array.shape
            if rows < 0:
                rows = extents[0]
            if extents[0] != rows or rows > self._rows or extents[1:] != shape:
                return None
            place[:rows] = array
        return rows
