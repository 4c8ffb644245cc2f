"""Values to ids, in plain Python."""

from __future__ import annotations

import bisect
import math

import numpy as np

from rtcompile.features.hashing import HASHES
from rtcompile.features.numbers import parse_int
from rtcompile.features.plan import Boundaries, Feature, HashBucket, NumBuckets, Vocabulary

__all__ = ["bucketize", "is_int64"]


def bucketize(feature: Feature, value: bytes | float) -> int:
    """The id of one value: bytes for an id feature, a number for a raw one.

    num_buckets: a number loses its fraction; an integer outside [0, buckets) stays as it is, and a
    look-up by it reports it; a default that no int64 holds is 0. NaN is above no boundary, and in
    bucket 0.
    """
    by = feature.bucketizer
    if isinstance(value, float) and isinstance(by, NumBuckets):
        return int(value) if is_int64(value) else 0
    if isinstance(by, Boundaries):
        assert isinstance(value, float)
        edges = [float(np.float32(edge)) for edge in by.values]
        with np.errstate(over="ignore"):
            single = float(np.float32(value))
        return 0 if math.isnan(single) else bisect.bisect_right(edges, single)
    assert isinstance(value, bytes)
    if isinstance(by, HashBucket):
        return HASHES[by.hash](value) % by.buckets
    if isinstance(by, Vocabulary):
        return _vocabulary(by).get(value, by.default_code)
    return parse_int(value) or 0


def is_int64(value: float) -> bool:
    """Whether an int64 holds a number without its fraction."""
    return -(2.0**63) <= value < 2.0**63


_VOCABULARIES: dict[int, tuple[Vocabulary, dict[bytes, int]]] = {}


def _vocabulary(vocabulary: Vocabulary) -> dict[bytes, int]:
    known = _VOCABULARIES.get(id(vocabulary))
    if known is None or known[0] is not vocabulary:
        known = (vocabulary, dict(vocabulary.entries))
        _VOCABULARIES[id(vocabulary)] = known
    return known[1]
