"""Memory for the structs that the runtime and compiled code share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rtcompile.runtime.abi.layout import Field, Layout, Words
from rtcompile.runtime.memory.arrays import aligned_empty
from rtcompile.runtime.memory.input_table import address

__all__ = ["StructMemory", "allocate"]


@dataclass(frozen=True, slots=True)
class StructMemory:
    """The memory of a struct, alone in its cache lines. `words`: Python's own integers, by field.

    It lies at `address` as long as `array` lives.
    """

    array: npt.NDArray[np.int64]
    words: Words
    address: int


def allocate(
    layout: type[Layout], more: int = 0, given: Mapping[Field, int] | None = None
) -> StructMemory:
    """A struct whose words are 0 but for those that are `given`. `more`: words of the open array at
    its end."""
    array = aligned_empty(layout.WORDS + more, "int64")
    array[:] = 0
    for field, value in (given or {}).items():
        array[field] = value
    return StructMemory(array, array.data, address(array))
