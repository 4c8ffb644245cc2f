"""Raw values of a request or an item: their forms, as text or numbers.

A value is None, a string, bytes, a number, or a list, tuple or array of these; for a weighted
feature a mapping, or a list of pairs. None and NaN are no value. An integer is hashed as its
decimal digits; a float that is whole, within 2**53, as these too, else as the shortest text that
reads back as it. Strings are taken as UTF-8, bytes as they are.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "NUMBERS",
    "VALUE_SEPARATOR",
    "Values",
    "cut",
    "is_list",
    "is_several",
    "keys_and_values",
    "listed",
    "nested_text",
    "number_of",
    "numbers_of",
    "pairs_of",
    "parse_number",
    "split_values",
    "text_of",
    "texts_of",
]

# Of a column, or of a row that has several.
Values = Sequence[Any] | npt.NDArray[Any]

# Between the values of a text, whatever else separates them.
VALUE_SEPARATOR = b"\x1d"

NUMBERS = (float, int, np.number, np.bool_)
_LISTS = (list, tuple, np.ndarray)
_SINGLE = frozenset((str, int, float, bytes, type(None)))
_LARGEST_EXACT = 1 << 53
_REAL = re.compile(
    rb"[ \t\n\r\v\f]*([+-]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|nan|inf|infinity))"
    rb"[ \t\n\r\v\f]*",
    re.IGNORECASE,
)


def is_list(value: object) -> bool:
    """Whether a value is several."""
    return isinstance(value, _LISTS)


def is_several(value: object) -> bool:
    """Whether a value is a list or a mapping."""
    if value.__class__ in _SINGLE:
        return False
    return isinstance(value, (*_LISTS, Mapping))


def listed(values: npt.NDArray[Any]) -> list[Any]:
    """An array as a list; of dtypes that values can have, as plain Python values."""
    return values.tolist() if values.ndim == 1 and values.dtype.kind in "biufUSO" else list(values)


def text_of(value: object) -> bytes:
    """A single value as the bytes that are hashed; b"" for none. Raises TypeError."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    if value is None:
        return b""
    if isinstance(value, int | np.integer | np.bool_):
        return b"%d" % int(value)
    if isinstance(value, bytes | bytearray):
        return bytes(value)
    if isinstance(value, float | np.floating):
        return _text_of_float(float(value))
    raise TypeError(
        f"{type(value).__name__} is not a value; text, a number, or a list of these is needed"
    )


def cut(value: object, weighted: bool = False) -> object:
    """A number without its fraction, or a list of such; where `weighted`, of pairs with weights."""
    if isinstance(value, float | np.floating):
        return int(value) if math.isfinite(value) else value
    if isinstance(value, Mapping):
        return [(cut(key), weight) for key, weight in value.items()]
    if not is_list(value):
        return value
    parts: list[Any] = list(value)  # type: ignore[call-overload]
    if weighted and parts and all(isinstance(p, tuple) and len(p) == 2 for p in parts):
        return [(cut(key), weight) for key, weight in parts]
    return [cut(part, weighted) for part in parts]


def texts_of(values: Iterable[Any]) -> list[bytes]:
    """`text_of` each; plain strings and bytes without a call of it."""
    return [
        value.encode("utf-8", "surrogatepass")
        if value.__class__ is str
        else value
        if value.__class__ is bytes
        else text_of(value)
        for value in values
    ]


def _text_of_float(value: float) -> bytes:
    if math.isnan(value):
        return b""
    if value.is_integer() and abs(value) < _LARGEST_EXACT:
        return b"%d" % int(value)
    return repr(value).encode()


def split_values(text: bytes, separator: bytes) -> list[bytes]:
    """The parts of a text between its separators, empty ones too.

    `separator` comes on top of the one that all texts have; with b"" the text is one value.
    """
    if not separator:
        return [text]
    if separator == VALUE_SEPARATOR or VALUE_SEPARATOR not in text:
        return text.split(separator)
    return [part for whole in text.split(VALUE_SEPARATOR) for part in whole.split(separator)]


def parse_number(text: bytes) -> float:
    """The float64 nearest to what `text` spells; NaN where it spells no number."""
    match = _REAL.fullmatch(text)
    return float(match[1]) if match else math.nan


def number_of(value: Any) -> float:
    """A number as float64. Integers beyond its range become infinite."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def numbers_of(value: object, separator: bytes) -> list[float]:
    """The numbers of an entry; NaN for what is none.

    Empty tokens of text are dropped; an empty place in a list stays one.
    """
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        if value.ndim > 1:
            raise TypeError(f"an array of {value.ndim} axes; one axis is needed")
        return [float(v) for v in value.reshape(-1)]
    parts: list[Any] = list(value) if is_list(value) else [value]  # type: ignore[call-overload]
    found: list[float] = []
    for part in parts:
        if isinstance(part, NUMBERS):
            found.append(number_of(part))
        elif is_list(value):
            found.append(parse_number(text_of(part)))
        else:
            found.extend(parse_number(t) for t in split_values(text_of(part), separator) if t)
    return found


def pairs_of(value: object, separator: bytes, pair: bytes) -> list[tuple[bytes, float]]:
    """Values with weights: of a mapping, of pairs, or of text, "value:weight".

    Text is split at the last `pair` of a token. A weight that is none, or no number, counts as 1.
    """
    if isinstance(value, Mapping):
        return [(text_of(k), _weight(w)) for k, w in value.items() if text_of(k)]
    parts: list[Any] = []
    if is_list(value):
        parts = list(value)  # type: ignore[call-overload]
        if parts and all(isinstance(p, tuple) and len(p) == 2 for p in parts):
            return [(text_of(k), _weight(w)) for k, w in parts if text_of(k)]
        tokens = [text_of(part) for part in parts]
    else:
        tokens = split_values(text_of(value), separator)
    found = []
    for token in tokens:
        head, marker, tail = token.rpartition(pair)
        weight = _weight(tail) if marker else 1.0
        if head if marker else token:
            found.append((head if marker else token, weight))
    return found


def keys_and_values(value: object) -> list[bytes]:
    """Keys and values of a map in turn: of a mapping, of pairs, or of texts "key:value"."""
    found: list[bytes] = []
    for key, text in _items(value, b":"):
        if key and text:
            found += (key, text)
    return found


def nested_text(value: object) -> bytes:
    """A map of maps as text; a mapping holds the inner maps as text."""
    if isinstance(value, Mapping) or is_list(value):
        return b"|".join(key + b"^" + text for key, text in _items(value, b"^"))
    return text_of(value)


def _items(value: object, pair: bytes) -> list[tuple[bytes, bytes]]:
    if isinstance(value, Mapping):
        return [(text_of(k), text_of(v)) for k, v in value.items()]
    parts: list[Any] = list(value) if is_list(value) else []  # type: ignore[call-overload]
    if parts and all(isinstance(p, tuple) and len(p) == 2 for p in parts):
        return [(text_of(k), text_of(v)) for k, v in parts]
    texts = texts_of(parts) if is_list(value) else text_of(value).split(VALUE_SEPARATOR)
    cut = [text.partition(pair) for text in texts]
    return [(key, text) for key, marker, text in cut if marker]


def _weight(value: object) -> float:
    if value is None:
        return 1.0
    number = parse_number(text_of(value)) if isinstance(value, str | bytes) else number_of(value)
    return 1.0 if math.isnan(number) else number
