"""The one definition of how a Python value is read: what a value of any class is, in plain Python.

    no value     None, NaN, numpy's masked
    text         str; bytes and bytearray, as they are
    number       bool (0 or 1), int, float; numpy's; Decimal: an int where it is whole, else the
                 nearest float
    several      list, tuple, an array of one axis; a masked place has no value
    map          dict, any Mapping

An object of a subclass is what it holds as one of the class: no method that it overrides is asked.
All else is refused. Compiled code takes only values of Python's own classes, and leaves the others
to this.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "Values",
    "column_values",
    "is_list",
    "is_map",
    "items_of",
    "parts_of",
    "plain",
    "scalar",
]

# Of a column, or of a row that has several.
Values = Sequence[Any] | npt.NDArray[Any]

_PLAIN = frozenset((type(None), bool, int, float, str, bytes))
_LISTS = (list, tuple, np.ndarray)
_MOST_DIGITS = 4300  # of an integer that Python writes as text
_NO_COLUMNS = (str, bytes, bytearray, memoryview, Mapping, Set)
_DEEPEST = 4  # a sequence of lists of pairs


def scalar(value: object) -> bool | int | float | str | bytes | None:
    """A single value as one of Python's own classes. Raises TypeError."""
    kind = type(value)
    if kind in _PLAIN:
        return value  # type: ignore[return-value]
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bytes):
        return b"".join((value,))
    if isinstance(value, bytearray):
        return bytes(memoryview(value))
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, np.integer) and value.dtype.kind in "iu":
        return int(value)
    if isinstance(value, np.floating):
        return _float_of(value)
    if value is np.ma.masked:
        return None
    if isinstance(value, Decimal):
        return _number_of_decimal(value)
    raise TypeError(f"{kind.__name__} is not a value; text, a number, or a list of these is needed")


def _float_of(value: np.floating[Any]) -> float:
    found = float(value)
    if found != value and value == value:  # noqa: PLR0124
        raise TypeError(f"{value!r} is no float64")
    return found


def _number_of_decimal(value: Decimal) -> int | float | None:
    if value.is_nan():
        return None
    if value.is_infinite():
        return float(value)
    if value.adjusted() >= _MOST_DIGITS:
        raise TypeError(f"a Decimal of more than {_MOST_DIGITS} digits is not a value")
    return int(value) if value.as_integer_ratio()[1] == 1 else float(value)


def is_list(value: object) -> bool:
    """Whether a value is several."""
    return isinstance(value, _LISTS) and value is not np.ma.masked


def is_map(value: object) -> bool:
    """Whether a value has keys."""
    return isinstance(value, Mapping)


def parts_of(value: Any) -> Sequence[Any]:
    """The values of what is several, as a list or tuple. Raises TypeError, ValueError."""
    kind = type(value)
    if kind is list or kind is tuple:
        return value  # type: ignore[no-any-return]
    if isinstance(value, list):
        return list.__getitem__(value, slice(None))
    if isinstance(value, tuple):
        return tuple.__getitem__(value, slice(None))
    return _parts_of_array(value)


def _parts_of_array(value: npt.NDArray[Any]) -> list[Any]:
    """Values of Python of an array of one axis; arrays, of more axes."""
    mask = np.ma.getmaskarray(value) if isinstance(value, np.ma.MaskedArray) else None
    array = np.asarray(value)
    if array.ndim == 0:
        raise TypeError("an array without axes is not several values")
    if array.dtype.kind not in "biufUSOT":
        raise TypeError(f"an array of {array.dtype} has no values; text or numbers are needed")
    if array.ndim > 1:
        rows = list(array)
        return rows if mask is None else [np.ma.masked_array(r, m) for r, m in zip(rows, mask)]  # noqa: B905
    if array.dtype.kind == "U" and array.size:
        _check_letters(array)
    found: list[Any] = list(array) if array.dtype == np.longdouble else array.tolist()
    if mask is not None:
        found = [None if hidden else one for one, hidden in zip(found, mask, strict=True)]
    return found


def _check_letters(array: npt.NDArray[Any]) -> None:
    """Numpy takes any 32 bits for a character, Python does not."""
    native = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("="), copy=False))
    largest = int(native.view(np.uint32).max(initial=0))
    if largest > 0x10FFFF:
        raise ValueError(f"an array of texts with the character {largest:#x}, which there is not")


def items_of(value: Mapping[Any, Any]) -> Sequence[tuple[Any, Any]]:
    """Keys and values of a map."""
    return list(dict.items(value)) if isinstance(value, dict) else list(value.items())


def column_values(values: Any) -> Sequence[Any]:
    """A column's values: a list, a tuple, or an array of numpy's own class, which counts as one.

    Raises TypeError, ValueError for what is no column.
    """
    kind = type(values)
    if kind is list or kind is tuple:
        return values  # type: ignore[no-any-return]
    if isinstance(values, list | tuple):
        return parts_of(values)
    if isinstance(values, np.ma.MaskedArray):
        if np.ma.getmaskarray(values).any():
            return _parts_of_array(values)
        values = np.asarray(values)
    if isinstance(values, np.ndarray):
        array: Any = values if kind is np.ndarray else np.asarray(values)
        if not array.shape:
            raise TypeError("an array without axes is not a column")
        if array.dtype.kind == "U" and array.size:
            _check_letters(array)
        return array  # type: ignore[no-any-return]
    if not isinstance(values, _NO_COLUMNS) and hasattr(values, "__len__"):
        return list(values)  # what it holds, not what it promises
    raise TypeError(f"{kind.__name__} is not a column; a list with a value a row is needed")


def plain(value: object, depth: int = _DEEPEST) -> Any:
    """A value of any form in Python's own classes, so that it can be kept. Raises TypeError."""
    if is_list(value) or is_map(value):
        if not depth:
            raise TypeError(f"lists in lists, more than {_DEEPEST} deep, are not a value")
        if isinstance(value, Mapping):
            pairs = [(scalar(k), plain(v, depth - 1)) for k, v in items_of(value)]
            found = dict(pairs)
            # Keys that differ by class alone stay two entries.
            return found if len(found) == len(pairs) else pairs
        parts = [plain(part, depth - 1) for part in parts_of(value)]
        return tuple(parts) if isinstance(value, tuple) else parts
    return scalar(value)
