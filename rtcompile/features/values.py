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
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeGuard

from rtcompile.features.numbers import format_integer, parse_float

__all__ = [
    "Raw",
    "Unparsed",
    "as_float",
    "elements",
    "ignore",
    "is_list",
    "joined",
    "key_values",
    "map_entries",
    "pairs_of",
    "split",
    "to_bytes",
    "token_texts",
    "tokens",
    "unread_entries",
    "weighted_tokens",
]

Raw = object

# Takes a value that is there and cannot be read.
Unparsed = Callable[[Raw], None]


def ignore(value: Raw) -> None:
    """Nobody asks."""


def is_list(value: Raw) -> TypeGuard[Sequence[Raw]]:
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
    return [token for token in token_texts(value, separator) if token]


def token_texts(value: Raw, separator: bytes) -> list[bytes]:
    """The parts of a list or a text, empty ones too."""
    if is_list(value):
        return [to_bytes(part) for part in value]
    return split(to_bytes(value), separator)


def joined(value: Raw, between: bytes = b"") -> bytes:
    """A value as one text; of a list the parts one after another."""
    return between.join(map(to_bytes, value)) if is_list(value) else to_bytes(value)


def split(text: bytes, separator: bytes) -> list[bytes]:
    """The parts of a text, empty ones too."""
    if not separator:
        return [text]
    return [part for whole in text.split(b"\x1d") for part in whole.split(separator)]


def weighted_tokens(
    value: Raw, separator: bytes, pair: bytes, unparsed: Unparsed = ignore
) -> list[tuple[bytes, float]]:
    """Values with weights: of a map, or of text "value:weight" split at the last `pair`.

    A token without a weight, or with one that is no number, counts as 1. A key of a map without a
    value is no entry.
    """
    found: list[tuple[bytes, float]] = []
    entries = map_entries(value)
    if entries is not None:
        for key, given in entries:
            weight = as_float(given)
            if not to_bytes(key):
                if to_bytes(given):
                    unparsed(given)
                continue
            if math.isnan(weight) and to_bytes(given):
                weight = _weight(to_bytes(given), unparsed)
            if not math.isnan(weight):
                found.append((to_bytes(key), weight))
        return found
    for token in tokens(value, separator):
        head, marker, tail = token.rpartition(pair)
        if not marker:
            found.append((token, 1.0))
        elif head:
            found.append((head, _weight(tail, unparsed)))
        else:
            unparsed(token)
    return found


def as_float(value: Raw) -> float:
    """A number as float64, infinite beyond its range; NaN for all else."""
    if not isinstance(value, bool | int | float):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _weight(text: bytes, unparsed: Unparsed) -> float:
    number = parse_float(text)
    if number is None and text:
        unparsed(text)
    return 1.0 if number is None or math.isnan(number) else number


def map_entries(value: Raw) -> list[tuple[Raw, Raw]] | None:
    """Keys and values of a map, of a list of pairs, or of maps of "key" and "value"; else None."""
    if isinstance(value, Mapping):
        return list(value.items())
    parts: list[Any] = list(value) if is_list(value) else []
    if parts and all(isinstance(p, tuple) and len(p) == 2 for p in parts):
        return parts
    if parts and all(isinstance(p, Mapping) and set(p) == {"key", "value"} for p in parts):
        return [(p["key"], p["value"]) for p in parts]
    return None


def elements(value: Raw, delimiter: bytes, length: int) -> list[Raw]:
    """The elements of a sequence, at most `length`, the first ones.

    Text is split on the delimiter and empty elements stay, since each is a place in time. An empty
    or missing sequence has one element, which is empty and so takes the feature's default.
    """
    if is_list(value):
        found: list[Raw] = list(value)
    else:
        text = to_bytes(value)
        found = list(text.split(delimiter)) if text else []
    return found[:length] or [None]


def key_values(value: Raw, separator: bytes, pair: bytes) -> dict[bytes, bytes]:
    """A map as text to text: of a mapping, of pairs, or of text "key:value" joined by `separator`.

    Text is split at the first `pair`; what has none, or no key, cannot be read. The first of equal
    keys counts.
    """
    found: dict[bytes, bytes] = {}
    for key, text in pairs_of(_parts(value, separator), pair):
        if key and text:
            found.setdefault(key, text)
    return found


def unread_entries(value: Raw, separator: bytes, pair: bytes) -> list[bytes]:
    """What cannot be read of a map."""
    parts = _parts(value, separator)
    entries = map_entries(parts)
    if entries is not None:
        return [to_bytes(given) for key, given in entries if not to_bytes(key) and to_bytes(given)]
    cut = [(part, *part.partition(pair)) for part in map(to_bytes, parts) if part]
    return [part for part, key, marker, _ in cut if not (key and marker)]


def _parts(value: Raw, separator: bytes) -> Iterable[Raw]:
    if isinstance(value, Mapping) or is_list(value):
        return value
    return tokens(value, separator)


def pairs_of(value: Iterable[Raw], pair: bytes) -> list[tuple[bytes, bytes]]:
    """Keys and values: of a mapping, of pairs, or of texts that have `pair` between them."""
    entries = map_entries(value)
    if entries is not None:
        return [(to_bytes(k), to_bytes(v)) for k, v in entries]
    cut = [to_bytes(part).partition(pair) for part in value]
    return [(key, text) for key, marker, text in cut if marker]
