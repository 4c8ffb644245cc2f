"""Arrays of a caller as the dtypes of a model's inputs: exact, or an error that says where not.

    bool                  to any number: 0 or 1
    integers              to integers that hold the value, to floats that have exactly the value
    floats                to floats: the nearest one, as long as that is finite where the value is
    all others            never: floats are no integers, numbers no booleans; texts, dates, objects
                          and complex numbers are no inputs at all

Masked places have no value, which a model's own inputs cannot express.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from rtcompile.runtime.errors import RequestError

__all__ = ["array_of", "check_convertible", "copy_exactly"]

_EXACT_INTEGERS = 2.0**53  # of float64


def array_of(value: object, name: str) -> npt.NDArray[Any]:
    """`value` as an array, of whatever dtype numpy finds for it. Raises RequestError."""
    try:
        array = np.asarray(value)
    except Exception as error:  # whatever the code of a foreign object raises
        raise RequestError(f"input {name!r}: not a rectangular array: {error}") from error
    if isinstance(value, np.ma.MaskedArray) and np.ma.getmaskarray(value).any():
        place = np.argwhere(np.ma.getmaskarray(value))[0]
        raise RequestError(f"input {name!r}{_row(place)}: masked; a model's input needs a value")
    if not isinstance(value, np.ndarray) and array.dtype == np.float64:
        _check_listed(value, array, name)
    return array


def check_convertible(given: np.dtype[Any], name: str, wanted: np.dtype[Any]) -> None:
    """Raise RequestError where values of one dtype are never values of the other."""
    integers = given.kind in "iu" and wanted.kind in "iu"
    may = given.kind == "b" or (given.kind in "iuf" and wanted.kind == "f") or integers
    if not may:
        raise RequestError(
            f"input {name!r}: dtype {given} cannot be converted to {wanted} without loss"
        )


def copy_exactly(array: npt.NDArray[Any], name: str, to: npt.NDArray[Any]) -> None:
    """Copy `array` into an array of the same shape, of a dtype that it can be converted to.

    Raises RequestError where that loses.
    """
    given, wanted = array.dtype, to.dtype
    with np.errstate(all="ignore"):
        np.copyto(to, array, casting="unsafe")
        if given.kind == "b" or given == wanted or not array.size:
            return
        is_float = given.kind == "f"
        lost = np.isinf(to) & np.isfinite(array) if is_float else _lost_integers(array, to)
    if lost.any():
        place = np.argwhere(lost)[0]
        raise RequestError(
            f"input {name!r}{_row(place)}: {array[tuple(place)]} cannot be converted from {given} "
            f"to {wanted} without loss"
        )


def _lost_integers(array: npt.NDArray[Any], to: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Which integers are others now."""
    if to.dtype.kind in "iu":
        known = np.iinfo(to.dtype)
        low, high = np.iinfo(array.dtype).min, np.iinfo(array.dtype).max
        lost = np.zeros(array.shape, np.bool_)
        if low < known.min:
            lost |= array < max(known.min, low)
        if high > known.max:
            lost |= array > array.dtype.type(min(known.max, high))
        return lost
    # A float that no integer of the dtype is (2**63) is not to be cast back.
    beyond = np.abs(to.astype(np.float64)) > 2.0**62
    back = np.where(beyond, 0, to).astype(array.dtype)
    others: npt.NDArray[np.bool_] = (back != array) & ~beyond
    if beyond.any():
        whole = zip(to[beyond].tolist(), array[beyond].tolist(), strict=True)
        others[beyond] = [made != given for made, given in whole]
    return others


def _check_listed(value: object, array: npt.NDArray[Any], name: str) -> None:
    """Of lists numpy makes floats where some are: of large integers too, and of masked places."""
    doubtful = np.isnan(array) | (np.abs(array) >= _EXACT_INTEGERS)
    if not doubtful.any():
        return
    given = np.asarray(value, dtype=object)
    if given.shape != array.shape:
        return
    for place in np.argwhere(doubtful):
        one, made = given[tuple(place)], array[tuple(place)]
        if one is np.ma.masked:
            raise RequestError(
                f"input {name!r}{_row(place)}: masked; a model's input needs a value"
            )
        if isinstance(one, int) and one != float(made):
            raise RequestError(
                f"input {name!r}{_row(place)}: {one} cannot be converted to float64 without loss"
            )


def _row(place: npt.NDArray[np.int64]) -> str:
    """How messages name a place of an array, [] of one without axes."""
    if not len(place):
        return ""
    rest = f", place {', '.join(map(str, place[1:]))}" if len(place) > 1 else ""
    return f", row {place[0]}{rest}"
