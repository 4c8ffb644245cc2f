"""The arrays of a caller as a network's inputs, where they lie.

Kernels find an input by its address in the table, and read vectors of it at any address. So an
array of the right type is not copied, as long as its rows follow each other and its elements are
aligned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rtcompile.runtime.abi.stage import PortEntry, PortTable
from rtcompile.runtime.memory.input_table import PortAddresses

__all__ = ["InputsInPlace"]


class InputsInPlace:
    """A table of the inputs `ports`. One call at a time may use it."""

    def __init__(self, ports: Sequence[Any], row_bytes: Sequence[int]) -> None:
        self._table = PortAddresses(row_bytes)
        self._words = self._table.words
        self._ports = [
            (
                PortTable.PORTS.of(PortEntry.ADDRESS, number),
                *(port.name, np.dtype(port.dtype), port.shape, np.dtype(port.dtype).itemsize),
            )
            for number, port in enumerate(ports)
        ]
        self.tensor = self._table.tensor

    def fill(self, given: Mapping[str, Any]) -> int | None:
        """Enter the addresses of arrays, and say how many rows they have.

        None where one is not of its port's type and shape, or would have to be copied. Whoever
        calls keeps the arrays until the network has run.
        """
        rows = -1
        for field, name, dtype, shape, size in self._ports:
            array = given[name]
            if type(array) is not np.ndarray or array.dtype != dtype:
                return None
            extents = array.shape
            if extents[1:] != shape or not extents:
                return None
            if rows < 0:
                rows = extents[0]
            interface = array.__array_interface__
            where = interface["data"][0]
            if extents[0] != rows or interface["strides"] is not None or where % size:
                return None
            self._words[field] = where
        return rows
