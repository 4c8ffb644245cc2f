"""Compare values with what they must be. Needs numpy alone, so that a serving machine can."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["differ"]

Array = npt.NDArray[Any]


def differ(want: Array, got: Array, allowed: Array) -> npt.NDArray[np.bool_]:
    """Where values are further apart than allowed, or not both NaN, or not the same infinity.

    Where `allowed` is infinite, anything will do. Integers and flags must be equal elsewhere.
    """
    free = np.isposinf(allowed)
    if want.dtype.kind != "f":
        return np.asarray((want != got) & ~free)
    same = (want == got) | (np.isnan(want) & np.isnan(got))
    with np.errstate(invalid="ignore", over="ignore"):
        near = np.abs(want.astype(np.float64) - got.astype(np.float64)) <= allowed
    return np.asarray(~(same | free | (near & np.isfinite(want) & np.isfinite(got))))
