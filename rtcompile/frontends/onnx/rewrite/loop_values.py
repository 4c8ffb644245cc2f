"""What a value of a Loop's body stands for over all turns of the loop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Each", "Filtered", "Fixed", "Numbers", "Outer", "Picked", "RefusedError", "Sequence"]


class RefusedError(Exception):
    """Why a body does not stand for the same over all rows."""


@dataclass(frozen=True)
class Each:
    """A value a turn: `name` of the outer graph has the turns in front of `rank` axes, the first of
    which has so many elements, where that is known. Its element type, as ONNX counts them, is
    `kind`, 0 where that is not known."""

    name: str
    rank: int
    kind: int
    elements: int | None = None


@dataclass(frozen=True)
class Outer:
    """A value of the outer graph, the same in each turn."""

    name: str


@dataclass(frozen=True, eq=False)
class Fixed:
    """A constant of the body."""

    array: npt.NDArray[Any]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fixed) and bool(np.array_equal(self.array, other.array))

    def __hash__(self) -> int:
        return hash((self.array.shape, self.array.tobytes()))


@dataclass(frozen=True)
class Numbers:
    """A value that is known in each turn: at each size of the batch, turn -> array."""

    turns: tuple[Mapping[int, npt.NDArray[Any]], ...]


@dataclass(frozen=True)
class Picked:
    """The positions of a turn's share where `mask`, [turns, share] of bool, holds."""

    mask: str
    share: int


@dataclass(frozen=True)
class Filtered:
    """The values [turns, share, ...] of a turn's share where `mask` holds; `rank` is that of one
    turn's values, the share's axis among them."""

    values: str
    mask: str
    rank: int
    kind: int


@dataclass(frozen=True)
class Sequence:
    """A sequence that is empty, or has what each turn inserted, a value a turn."""

    inserted: Each | None = None
