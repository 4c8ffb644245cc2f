"""A built candidate and all that running it elsewhere needs: bytes, arguments, expected results."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Measurable", "differences"]

Array = npt.NDArray[np.generic]


@dataclass(frozen=True)
class Measurable:
    """A shared library, a function in it, and a call of it.

    `arguments`: arrays and integers, in the order of the function. `expected`: what the arrays at
    these places hold after the call, within `tolerance` (relative to the largest value).
    """

    library: bytes
    function: str
    arguments: tuple[Array | int, ...]
    expected: dict[int, Array]
    tolerance: float


def differences(measurable: Measurable, place: int, got: Array) -> str:
    """What is wrong about the array that a call left at `place`, or ''. NaN equals NaN."""
    expected = measurable.expected[place]
    if got.shape != expected.shape or got.dtype != expected.dtype:
        return f"argument {place} is {got.dtype}{list(got.shape)}"
    got, expected = got.astype(np.float64), expected.astype(np.float64)
    finite = expected[np.isfinite(expected)]
    largest = float(np.abs(finite).max()) if finite.size else 1.0
    bound = measurable.tolerance * max(largest, 1.0)
    wrong = int(np.count_nonzero(~np.isclose(got, expected, rtol=0, atol=bound, equal_nan=True)))
    return f"argument {place}: {wrong} of {got.size} values differ" if wrong else ""
