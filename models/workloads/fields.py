"""Features and the raw values of their fields, drawn together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

__all__ = [
    "SEPARATOR",
    "id_feature",
    "joined",
    "lookup_feature",
    "map_text",
    "match_feature",
    "nested_text",
    "numbers",
    "raw_feature",
    "sequence",
    "words",
]

SEPARATOR = "\x1d"  # between values, and between the entries of a map

Feature = dict[str, Any]
Random = np.random.Generator


def id_feature(name: str, side: str, buckets: int, **keys: Any) -> Feature:
    """Of hashed text; `num_buckets` or boundaries instead, among `keys`, go without hash."""
    keys.setdefault("default_value", "0")
    if "num_buckets" not in keys and "vocab_list" not in keys:
        keys["hash_bucket_size"] = buckets
    found = {"feature_type": "id_feature", "feature_name": name, "expression": f"{side}:{name}"}
    return {**found, **keys}


def raw_feature(name: str, side: str, **keys: Any) -> Feature:
    """Of a number."""
    found = {"feature_type": "raw_feature", "feature_name": name, "expression": f"{side}:{name}"}
    return {**found, "default_value": "0", **keys}


def lookup_feature(name: str, key: str, **keys: Any) -> Feature:
    """Of the user's map of the same name by the item's field `key`."""
    found = {"feature_type": "lookup_feature", "feature_name": name, "map": f"user:{name}"}
    return {**found, "key": f"item:{key}", "default_value": "0", **keys}


def match_feature(name: str, category: str, item: str, **keys: Any) -> Feature:
    """Of the user's map of maps of the same name by two fields of the item."""
    found = {"feature_type": "match_feature", "feature_name": name, "user": f"user:{name}"}
    found |= {"category": f"item:{category}", "item": f"item:{item}", "matchType": "hit"}
    return {**found, "default_value": "0", **keys}


def sequence(name: str, length: int, fields: Sequence[Feature]) -> Feature:
    """A grouped sequence; its fields' columns are called NAME__FIELD."""
    return {
        "sequence_name": name,
        "sequence_length": length,
        "sequence_delim": ";",
        "features": list(fields),
    }


def words(rng: Random, count: int, most: int, letter: str = "v") -> list[str]:
    """Values such as v17, of `most` kinds."""
    return [f"{letter}{k}" for k in rng.integers(most, size=count).tolist()]


def numbers(rng: Random, count: int) -> list[float]:
    """From a normal distribution, as float32 has them."""
    return [float(x) for x in rng.normal(size=count).astype(np.float32)]


def joined(rng: Random, count: int, fewest: int, most: int, kinds: int) -> list[str]:
    """Texts of `fewest` to `most` values each."""
    sizes = rng.integers(fewest, most + 1, count)
    return [SEPARATOR.join(words(rng, size, kinds)) for size in sizes.tolist()]


def map_text(rng: Random, entries: int, kinds: int, value: Callable[[], str]) -> str:
    """A map, "key:value" joined: different keys of `kinds`."""
    keys = rng.permutation(kinds)[:entries].tolist()
    return SEPARATOR.join(f"v{key}:{value()}" for key in keys)


def nested_text(rng: Random, outer: int, inner: int, kinds: int, value: Callable[[], str]) -> str:
    """A map of maps, "first^second:value,..." joined by |."""
    parts = []
    for first in rng.permutation(kinds)[:outer].tolist():
        seconds = rng.permutation(kinds)[:inner].tolist()
        parts.append(f"v{first}^" + ",".join(f"v{second}:{value()}" for second in seconds))
    return "|".join(parts)
