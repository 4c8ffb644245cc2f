"""Rows that hurt, made of a test's own: NaN, infinities, huge and tiny numbers, ends of types."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tests.onnx_nodes.reference import Array

__all__ = ["hostile_rows"]

_FLOATS = (np.nan, np.inf, -np.inf, 1e30, -1e30, 0.0, -0.0, 1e-30, 0.5, -1.5, 2.5)


def hostile_rows(
    rows: Mapping[str, Array], seed: int, integers: bool = True
) -> list[dict[str, Array]]:
    """Batches of one row: floats mixed into a row, then all of one kind; integers at the ends of
    their type, one and zero. Booleans and texts stay, and without `integers` these too."""
    rng = np.random.default_rng(seed)
    found = []
    for attempt in range(2 * len(_FLOATS)):
        value = _FLOATS[attempt % len(_FLOATS)]
        share = 0.3 if attempt < len(_FLOATS) else 1.0
        found.append(
            {
                name: array[attempt % len(array)][None]
                if array.dtype.kind in "iu" and not integers
                else _hurt(array, value, share, attempt, rng)
                for name, array in rows.items()
            }
        )
    return found


def _hurt(
    array: Array, value: float, share: float, attempt: int, rng: np.random.Generator
) -> Array:
    row = array[attempt % len(array)][None].copy()
    if row.dtype.kind in "iu":
        ends = np.iinfo(row.dtype)
        with np.errstate(all="ignore"):
            number = np.array([ends.min, ends.max, 0, 1, ends.max - 1, ends.min + 1], row.dtype)
        replacement = number[attempt % len(number)]
    elif row.dtype.kind == "f" or row.dtype.name == "bfloat16":
        with np.errstate(all="ignore"):
            replacement = np.asarray(value).astype(row.dtype)
    else:
        return row
    where = rng.random(row.shape) < share
    if share < 1 and where.size and not where.any():
        where.flat[rng.integers(where.size)] = True
    row[where] = replacement
    return row
