"""The kernels of sequences that are computed up to their end, by numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def last_position(form: str, mask: Array) -> int:
    """How many positions count: up to the last one that does, 1 where none does."""
    values = mask.reshape(-1)
    if form == "above":
        counts = ~(values <= values.max() - np.float32(1e8))
    else:
        counts = (values == 0) == (form == "zero")
    return int(np.flatnonzero(counts)[-1]) + 1 if counts.any() else 1


def trimmed(*factors: Array, length: int) -> Array:
    """The rows of the first `length` positions of a value, or of a product of two."""
    value: Array = factors[0] if len(factors) == 1 else factors[0] * factors[1]
    return value[:, :length].reshape(-1, value.shape[-1])


def padded(source: Array, shape: tuple[int, ...], length: int) -> Array:
    """A value for every position again, zeros behind `length`."""
    result = np.zeros(shape, np.float32)
    result[:, :length] = source.reshape(shape[0], length, shape[2])
    return result
