"""Look-ups in the user's maps, in Python, as a service would write them.

A map is parsed once a request into a dictionary; each row then costs one look-up in it. Gives the
same values as the reference, which the tests check.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from rtcompile.features.numbers import parse_float, parse_int
from rtcompile.features.operators import Lookup, Match
from rtcompile.features.plan import Feature, Input, NumBuckets, Side
from rtcompile.features.reference.reference_buckets import bucketize
from rtcompile.features.reference.reference_numbers import finish
from rtcompile.features.values import key_values, to_bytes
from rtcompile.runtime.columns import Column

__all__ = ["MapMemory", "reads_map"]


def reads_map(feature: Feature) -> bool:
    """Whether a feature is a plain look-up of the user's map by fields of the rows."""
    operator, sides = feature.operator, [Side.USER, Side.ITEM, Side.ITEM]
    if isinstance(operator, Lookup):
        plain = not operator.show_key
    elif isinstance(operator, Match):
        plain = not (operator.wild or operator.show_first or operator.show_second)
    else:
        return False
    read = [c for c in feature.inputs if isinstance(c, Input) and not c.steps]
    combined = not feature.numeric or operator.combiner in ("sum", "mean")
    whole = len(feature.default) == 1 and feature.sequence is None
    return plain and combined and whole and [c.side for c in read] == sides[: len(feature.inputs)]


class MapMemory:
    """A look-up feature with what its values become remembered."""

    def __init__(self, feature: Feature) -> None:
        self._feature = feature
        self._names = [column.name for column in feature.inputs if isinstance(column, Input)]
        self._ids: dict[bytes, int] = {}
        self._default = self._made(b"")

    def column(self, columns: Mapping[str, Sequence[Any]]) -> Column | None:
        """The feature of each row; None where a key is not one plain text."""
        given, *keys = (columns[name] for name in self._names)
        separator = self._feature.separator.decode("latin1")
        for part in keys:
            if any(key.__class__ is not str or not key or separator in key for key in part):
                return None
        probe = self._probe(given[0])
        found = [probe(*row) for row in zip(*keys, strict=True)]
        if self._feature.sparse:
            return Column(np.array(found, np.int64), lengths=np.ones(len(found), np.int64))
        return Column(np.array(found, np.float32).reshape(-1, 1))

    def _probe(self, text: Any) -> Callable[..., Any]:
        default = self._default
        if isinstance(self._feature.operator, Lookup):
            parsed = key_values(text, b"\x1d", b":")
            made = {key.decode(): self._made(value) for key, value in parsed.items()}
            return lambda key: made.get(key, default)
        nested = self._nested(to_bytes(text))
        empty: dict[str, Any] = {}
        return lambda first, second: nested.get(first, empty).get(second, default)

    def _nested(self, text: bytes) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for part in text.split(b"|"):
            first, marker, rest = part.partition(b"^")
            if not marker or not first or first.decode() in found:
                continue
            inner = found[first.decode()] = {}
            for pair in rest.split(b","):
                second, marker, value = pair.partition(b":")
                if marker and second and second.decode() not in inner:
                    inner[second.decode()] = self._made(value)
        return found

    def _made(self, value: bytes) -> Any:
        """The id or number that a map's value becomes; the default's where it is none."""
        feature = self._feature
        if feature.numeric:
            (number,) = finish(feature, [parse_float(value)])
            return bucketize(feature, number) if feature.sparse else number
        if not value or (isinstance(feature.bucketizer, NumBuckets) and parse_int(value) is None):
            value = feature.default[0]
            return self._id(value)
        return self._id(feature.prefix + value)

    def _id(self, text: bytes) -> int:
        known = self._ids.get(text)
        if known is None:
            known = self._ids[text] = bucketize(self._feature, text)
        return known
