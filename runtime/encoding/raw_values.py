"""Raw values of a request or an item: their forms, as text or numbers.

`plain_values.py` says what a value of any class is; here is what becomes of it. None and NaN are no
value. An integer is hashed as its decimal digits; a float that is whole, within 2**53, as these
too, else as the shortest text that reads back as it. Strings are taken as UTF-8, bytes as they are.

Functions that parse tell `unparsed` of each value that is there and cannot be read.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from rtcompile.runtime.encoding.plain_values import (
    Values,
    is_list,
    is_map,
    items_of,
    parts_of,
    scalar,
)

__all__ = [
    "VALUE_SEPARATOR",
    "Unparsed",
    "cut",
    "is_number",
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

# Takes a value that cannot be read.
Unparsed = Callable[[object], None]

# Between the values of a text, whatever else separates them.
VALUE_SEPARATOR = b"\x1d"

_NUMBERS = (float, int, np.number, np.bool_, Decimal)
_SINGLE = frozenset((str, int, float, bytes, type(None)))
_LARGEST_EXACT = 1 << 53
_ENTRY = {"key", "value"}  # of a map as Arrow lists it
_REAL = re.compile(
    rb"[ \t\n\r\v\f]*([+-]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|nan|inf|infinity))"
    rb"[ \t\n\r\v\f]*",
    re.IGNORECASE,
)


def is_several(value: object) -> bool:
    """Whether a value is a list or a mapping."""
    return type(value) not in _SINGLE and (is_list(value) or is_map(value))


def listed(values: Values) -> Sequence[Any]:
    """A column as a list or tuple, of plain Python values where it is an array of such."""
    if not isinstance(values, np.ndarray):
        return values
    one_axis = values.ndim == 1 and values.dtype.kind in "biufUSOT"
    return parts_of(values) if one_axis else list(values)


def text_of(value: object) -> bytes:
    """A single value as the bytes that are hashed; b"" for none. Raises TypeError, ValueError."""
    if type(value) is str:
        return value.encode("utf-8", "surrogatepass")
    if value is None:
        return b""
    value = scalar(value)
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    if isinstance(value, bytes):
        return value
    if isinstance(value, float):
        return _text_of_float(value)
    return b"" if value is None else b"%d" % value


def cut(value: object, weighted: bool = False) -> object:
    """A number without its fraction, or a list of such; where `weighted`, of pairs with weights."""
    pairs = _listed_pairs(value) if weighted or is_map(value) else None
    if pairs is not None:
        return [(cut(key), weight) for key, weight in pairs]
    if is_list(value):
        return [cut(part, weighted) for part in parts_of(value)]
    one = scalar(value)
    return int(one) if isinstance(one, float) and math.isfinite(one) else one


def texts_of(values: Iterable[Any]) -> list[bytes]:
    """`text_of` each; plain strings and bytes without a call of it."""
    return [
        value.encode("utf-8", "surrogatepass")
        if type(value) is str
        else value
        if type(value) is bytes
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


def parse_number(text: bytes, unparsed: Unparsed) -> float:
    """The float64 nearest to what `text` spells; NaN where it spells no number."""
    match = _REAL.fullmatch(text)
    if match is None and text:
        unparsed(text)
    return float(match[1]) if match else math.nan


def number_of(value: object) -> float:
    """A number as float64. Integers beyond its range become infinite. Raises TypeError."""
    found: Any = scalar(value)
    if found is None:
        return math.nan
    try:
        return float(found)
    except OverflowError:
        return math.inf if found > 0 else -math.inf


def is_number(value: object) -> bool:
    """Whether a single value is a number, and no text of one."""
    return isinstance(value, _NUMBERS)


def numbers_of(value: object, separator: bytes, unparsed: Unparsed) -> list[float]:
    """The numbers of an entry; NaN for what is none.

    Empty tokens of text are dropped; an empty place in a list stays one.
    """
    if is_list(value):
        parts = parts_of(value)
        return [
            number_of(part) if is_number(part) else parse_number(text_of(part), unparsed)
            for part in parts
        ]
    if is_number(value):
        return [number_of(value)]
    return [parse_number(t, unparsed) for t in split_values(text_of(value), separator) if t]


def pairs_of(
    value: object, separator: bytes, pair: bytes, unparsed: Unparsed
) -> list[tuple[bytes, float]]:
    """Values with weights: of a map, of pairs, or of text "value:weight".

    Text is split at the last `pair` of a token. A token without a weight, or with one that is no
    number, counts as 1; a key of a map that has no value is no entry.
    """
    pairs = _listed_pairs(value)
    if pairs is not None:
        found = [(text_of(key), weight) for key, weight in pairs]
        for weight in (weight for key, weight in found if not key and text_of(weight)):
            unparsed(weight)
        weighed = [(key, _weight(weight, unparsed)) for key, weight in found if key]
        return [(key, weight) for key, weight in weighed if not math.isnan(weight)]
    tokens = (
        texts_of(parts_of(value)) if is_list(value) else split_values(text_of(value), separator)
    )
    return [one for token in tokens if (one := _weighed_token(token, pair, unparsed))]


def _weighed_token(token: bytes, pair: bytes, unparsed: Unparsed) -> tuple[bytes, float] | None:
    head, marker, tail = token.rpartition(pair)
    if not marker:
        return (token, 1.0) if token else None
    if not head:
        unparsed(token)
        return None
    number = parse_number(tail, unparsed)
    return head, 1.0 if math.isnan(number) else number


def _weight(value: object, unparsed: Unparsed) -> float:
    """NaN where there is none, 1 for what is no number."""
    if is_number(value):
        return number_of(value)
    text = text_of(value)
    if not text:
        return math.nan
    number = parse_number(text, unparsed)
    return 1.0 if math.isnan(number) else number


def keys_and_values(value: object) -> list[bytes]:
    """Keys and values of a map in turn: of a map, of pairs, or of texts "key:value".

    What cannot be read stands behind an empty key, for who looks a key up in vain.
    """
    found: list[bytes] = []
    pairs = _listed_pairs(value)
    if pairs is not None:
        for key, one in pairs:
            if text := text_of(one):
                found += (text_of(key), text)
        return found
    texts = texts_of(parts_of(value)) if is_list(value) else text_of(value).split(VALUE_SEPARATOR)
    for text in texts:
        name, marker, one = text.partition(b":")
        if name and one:
            found += (name, one)
        elif text and not (name and marker):
            found += (b"", text)
    return found


def nested_text(value: object) -> bytes:
    """A map of maps as text; a map holds the inner maps as text."""
    pairs = _listed_pairs(value)
    if pairs is not None:
        return b"|".join(text_of(key) + b"^" + text_of(one) for key, one in pairs if text_of(key))
    return b"|".join(texts_of(parts_of(value))) if is_list(value) else text_of(value)


def _listed_pairs(value: object) -> Sequence[tuple[Any, Any]] | None:
    """Keys and values of a map, of pairs, or of maps of a "key" and a "value"; None of all else."""
    if isinstance(value, Mapping):
        return items_of(value)
    parts = parts_of(value) if is_list(value) else ()
    if parts and all(isinstance(p, tuple) and tuple.__len__(p) == 2 for p in parts):
        return [(p[0], p[1]) for p in map(parts_of, parts)]
    if parts and all(isinstance(p, dict) and dict.keys(p) == _ENTRY for p in parts):
        return [(dict.get(p, "key"), dict.get(p, "value")) for p in parts]
    return None
