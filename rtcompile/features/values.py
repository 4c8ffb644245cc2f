"""Raw values to tokens: what a row of a column holds, whatever form it comes in.

Forms: None; str; bytes, any; int; float; a list of these; for a sequence, a list of lists; for
weighted features a mapping, or a list of pairs, of value and weight.

- Text is split on \x1d, and on the feature's separator too; empty tokens are dropped: "a,,b," has
  two values. With an empty separator text is one value. What is in a list is not split any further.
- None and NaN have no value. A bool counts as 0 or 1. An integer is hashed as its decimal digits; a
  float that is whole, within 2**53, as these too, else as the shortest text that reads back as it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from rtcompile.features.numbers import format_integer, parse_float

__all__ = [
    "Raw",
    "elements",
    "is_list",
    "key_values",
    "pairs_of",
    "split",
    "to_bytes",
    "tokens",
    "weighted_tokens",
]

Raw = object


def is_list(value: Raw) -> bool:
    """Whether a value is several."""
    return isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray)


def to_bytes(value: Raw) -> bytes:
    """A scalar as the text that is split and hashed; b"" for no value."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return b""
    if isinstance(value, bytes | bytearray):
        return bytes(value)
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    if isinstance(value, bool | int):
        return format_integer(int(value))
    if isinstance(value, float):
        whole = value.is_integer() and abs(value) < 1 << 53
        return format_integer(int(value)) if whole else repr(value).encode()
    raise TypeError(f"a value is {type(value).__name__}, not text, a number or a list of these")


def tokens(value: Raw, separator: bytes) -> list[bytes]:
    """The values of a row or element."""
    parts = map(to_bytes, value) if is_list(value) else split(to_bytes(value), separator)  # type: ignore[call-overload]
    return [token for token in parts if token]


def split(text: bytes, separator: bytes) -> list[bytes]:
    """The parts of a text, empty ones too."""
    if not separator:
        return [text]
    return [part for whole in text.split(b"\x1d") for part in whole.split(separator)]


def weighted_tokens(value: Raw, separator: bytes, pair: bytes) -> list[tuple[bytes, float]]:
    """Values with weights: of a map, or of text "value:weight" split at the last `pair`.

    A missing weight, or one that is no number, counts as 1.
    """
    if isinstance(value, Mapping):
        return [(to_bytes(k), _weight(w)) for k, w in value.items() if to_bytes(k)]
    if is_list(value) and all(isinstance(p, tuple) and len(p) == 2 for p in value):  # type: ignore[attr-defined]
        return [(to_bytes(k), _weight(w)) for k, w in value if to_bytes(k)]  # type: ignore[attr-defined]
    found = []
    for token in tokens(value, separator):
        head, marker, tail = token.rpartition(pair)
        if head if marker else token:
            found.append((head if marker else token, _weight(tail if marker else None)))
    return found


def _weight(value: Raw) -> float:
    number = parse_float(to_bytes(value)) if isinstance(value, str | bytes) else value
    return 1.0 if number is None or math.isnan(number) else float(number)  # type: ignore[arg-type]


def elements(value: Raw, delimiter: bytes, length: int) -> list[Raw]:
    """The elements of a sequence, at most `length`, the first ones.

    Text is split on the delimiter and empty elements stay, since each is a place in time. An empty
    or missing sequence has one element, which is empty and so takes the feature's default.
    """
    if is_list(value):
        found: list[Raw] = list(value)  # type: ignore[call-overload]
    else:
        text = to_bytes(value)
        found = list(text.split(delimiter)) if text else []
    return found[:length] or [None]


def key_values(value: Raw, separator: bytes, pair: bytes) -> dict[bytes, bytes]:
    """A map as text to text: of a mapping, of pairs, or of text "key:value" joined by `separator`.

    Text is split at the first `pair`; what has none, or no key, is dropped. The first of equal keys
    counts.
    """
    parts = value if isinstance(value, Mapping) or is_list(value) else tokens(value, separator)
    found: dict[bytes, bytes] = {}
    for key, text in pairs_of(parts, pair):
        if key and text:
            found.setdefault(key, text)
    return found


def pairs_of(value: Raw, pair: bytes) -> list[tuple[bytes, bytes]]:
    """Keys and values: of a mapping, of pairs, or of texts that have `pair` between them."""
    if isinstance(value, Mapping):
        return [(to_bytes(k), to_bytes(v)) for k, v in value.items()]
    parts = list(value)  # type: ignore[call-overload]
    if parts and all(isinstance(p, tuple) and len(p) == 2 for p in parts):
        return [(to_bytes(k), to_bytes(v)) for k, v in parts]
    cut = [to_bytes(part).partition(pair) for part in parts]
    return [(key, text) for key, marker, text in cut if marker]
