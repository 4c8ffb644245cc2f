"""Feature columns: what an extraction gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Column"]


@dataclass(frozen=True)
class Column:
    """One feature over all rows.

    Ids: `values` int64, flat, `lengths` values a row; in a sequence `key_lengths` values an element
    and `seq_lengths` elements a row. Numbers: `values` float32 [rows or elements, value_dim].
    `weights` float32, beside `values`. What does not apply is None.
    """

    values: npt.NDArray[Any]
    lengths: npt.NDArray[np.int64] | None = None
    key_lengths: npt.NDArray[np.int64] | None = None
    seq_lengths: npt.NDArray[np.int64] | None = None
    weights: npt.NDArray[np.float32] | None = None
