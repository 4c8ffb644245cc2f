"""The values of outputs by row: how large they are, how far off they may be, which are no numbers.

A number may be off by units in the last place of its row's largest, and by a multiple of what
float32 is off on the row, or on the worst of the usual ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from rtcompile.verification.differences import differences
from rtcompile.verification.draw_inputs import Batch

__all__ = [
    "TIMES",
    "allowed_off",
    "for_each_value",
    "in_dtype",
    "is_finite",
    "is_nan",
    "kinds_differ",
    "largest_difference",
    "least_off",
    "of_rows",
    "off_by_a_place",
    "scale_of_rows",
    "where_rows_have",
]

Array = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]
Inputs = Mapping[str, Array]

# Units in the last place, of the largest value of a row, that an output may always be off. Sums of
# float32 are taken in another order, and exponentials are approximated; a half has fewer places.
_PLACES = {"float16": 4.0, "float32": 16.0, "float64": 16.0}
# How many times the error of ONNX Runtime another one may be: both are sums of many small ones.
TIMES = 8.0


def where_rows_have(want: Array, batch: Batch, *words: str) -> Mask:
    """The values of rows whose inputs have one of these in them."""
    rows = np.array([any(word in kind for word in words) for kind in batch.kinds], bool)
    return np.asarray(for_each_value(want, batch.rows, of_rows(rows, want, batch.rows)))


def is_nan(values: Array) -> Mask:
    """Where, of any dtype."""
    return np.isnan(values) if values.dtype.kind == "f" else np.zeros(values.shape, bool)


def is_finite(values: Array) -> Mask:
    """Where, of any dtype."""
    return np.isfinite(values) if values.dtype.kind == "f" else np.ones(values.shape, bool)


def kinds_differ(one: Array, other: Array) -> Mask:
    """Where one is NaN or infinite and the other is not, or is so otherwise."""
    if one.dtype.kind != "f":
        return np.zeros(one.shape, bool)
    finite = np.isfinite(one) & np.isfinite(other)
    return np.asarray(~(finite | (one == other) | (np.isnan(one) & np.isnan(other))))


def in_dtype(exact: Array, dtype: np.dtype[Any]) -> Array:
    """float64 values in the dtype of an output; what is too large for it becomes infinite."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(exact).astype(dtype)


def off_by_a_place(inputs: Inputs, seed: int) -> dict[str, Array]:
    """Inputs whose floats are some units in the last place larger or smaller."""
    rng = np.random.default_rng(seed)
    found = {}
    for name, array in inputs.items():
        found[name] = array
        if array.dtype.kind == "f":
            step = 4 * np.finfo(array.dtype).eps * rng.choice([-1.0, 1.0], array.shape)
            with np.errstate(over="ignore", invalid="ignore"):
                found[name] = np.asarray(array * (1 + step)).astype(array.dtype)
    return found


def for_each_value(want: Array, rows: int, values: Array) -> Array:
    """A value a row, for every value of the row."""
    spread = np.broadcast_to(values[:, None], _by_row(want, rows).shape)
    return np.asarray(spread.reshape(want.shape))


def of_rows(mask: Mask, want: Array, rows: int) -> Mask:
    """A mask of the batch's rows, or of the one row of what has none."""
    return mask if len(_by_row(want, rows)) == rows else np.asarray([mask.any()])


def _by_row(array: Array, rows: int) -> Array:
    """[rows, ...] as [rows, values]; what has another first axis as one row."""
    return array.reshape(rows if array.ndim and len(array) == rows else 1, -1)


def scale_of_rows(want: Array, batch: Batch) -> Array:
    """float64 [rows]: the largest finite value of a row, at least that of a usual row."""
    values = np.abs(_by_row(want, batch.rows).astype(np.float64))
    each = np.max(values, axis=1, initial=0.0, where=np.isfinite(values))
    usual = each[~batch.hostile] if len(each) == batch.rows else each
    return np.asarray(np.maximum(each, np.median(usual) if usual.size else 0.0))


def _places(dtype: np.dtype[Any]) -> float:
    return _PLACES[dtype.name] * float(np.finfo(dtype).eps) / 2


def least_off(want: Array, batch: Batch) -> Array:
    """How far off values may be whatever the graph is: float64, of the shape of `want`."""
    if want.dtype.kind != "f":
        return np.zeros(want.shape)
    return for_each_value(want, batch.rows, _places(want.dtype) * scale_of_rows(want, batch))


def allowed_off(want: Array, right: Array, batch: Batch) -> Array:
    """The same, with what float32 is off on the row, or on the worst of the ordinary ones."""
    if want.dtype.kind != "f":
        return np.zeros(want.shape)
    with np.errstate(invalid="ignore", over="ignore"):
        off = np.abs(want.astype(np.float64) - right.astype(np.float64))
    each = np.max(_by_row(np.where(np.isfinite(off), off, 0.0), batch.rows), axis=1, initial=0.0)
    usual = each[~batch.hostile] if len(each) == batch.rows else each
    conditioned = np.maximum(each, np.max(usual, initial=0.0))
    return least_off(right, batch) + for_each_value(want, batch.rows, TIMES * conditioned)


def largest_difference(want: Array, got: Array, batch: Batch) -> float:
    """Of the usual rows; 0 for what is no float."""
    if want.dtype.kind != "f" or not want.size:
        return 0.0
    if want.ndim and len(want) == batch.rows:
        want, got = want[~batch.hostile], got[~batch.hostile]
    return float(np.max(differences(want, got), initial=0.0))
