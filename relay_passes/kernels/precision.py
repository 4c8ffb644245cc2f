"""Which precision each dense layer of a network computes in: what `quantize_dense` is told.

A layer's name is its stage and its number among the stage's layers, "cross/3".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
import numpy.typing as npt

__all__ = ["FLOAT32", "LayerPrecision", "Mode", "PrecisionPlan"]


class Mode(Enum):
    """What a build is for."""

    FINAL = "final"  # each layer in its precision
    OBSERVE = "observe"  # float32; the inputs of the layers are counted
    SWITCH = "switch"  # each layer in all its precisions; words of the status choose


@dataclass(frozen=True)
class LayerPrecision:
    """`level`: float32, bf16 or int8.

    int8 with a `scale` and `zero` has a static range: x = scale * (q - zero). Without, each row has
    its own. `columns`: the scale of each column of a matrix that came as int8 times these, which
    its columns are brought back by; without, each has one by its largest value.
    """

    level: str
    scale: float | None = None
    zero: int = 0
    columns: npt.NDArray[np.float32] | None = field(default=None, compare=False, repr=False)


FLOAT32 = LayerPrecision("float32")


@dataclass(frozen=True)
class PrecisionPlan:
    """`layers`: name -> precision; those not named stay in float32. `SWITCH`: `levels` of each."""

    layers: Mapping[str, LayerPrecision] = field(default_factory=dict)
    mode: Mode = Mode.FINAL
    levels: tuple[str, ...] = ()
