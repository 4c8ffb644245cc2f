"""The features in plain Python: the definition that kernels and verification are held to.

A row without values takes the default's values; with an empty default it has none. A default, like
any value, goes through prefix, bucketizer and normalizer. Ids: at most `value_dim` values a row,
the first ones, 0 for all. Numbers: exactly `value_dim`; a value that is no number, NaN included,
takes the default's in its place, surplus values are dropped, missing ones take the default's.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from rtcompile.features.expression import evaluate
from rtcompile.features.hashing import HASHES
from rtcompile.features.numbers import parse_float, parse_int
from rtcompile.features.plan import (
    Boundaries,
    Feature,
    FeaturePlan,
    HashBucket,
    Log10Normalizer,
    MinMaxNormalizer,
    Normalizer,
    NumBuckets,
    Vocabulary,
    ZScoreNormalizer,
)
from rtcompile.features.values import Raw, elements, is_list, to_bytes, tokens, weighted_tokens
from runtime.columns import Column

__all__ = ["bucketize", "default_numbers", "extract", "extract_feature", "normalize"]


def extract(plan: FeaturePlan, columns: Mapping[str, Sequence[Raw]]) -> dict[str, Column]:
    """Every feature of a plan. A column of one row beside columns of n rows counts for all n."""
    rows = max((len(columns[f.input.name]) for f in plan.features), default=0)
    found = {}
    for feature in plan.features:
        values = columns[feature.input.name]
        broadcast = list(values) * rows if len(values) == 1 else values
        found[feature.name] = extract_feature(feature, broadcast)
    return found


def extract_feature(feature: Feature, rows: Sequence[Raw]) -> Column:
    """One feature over `rows`."""
    if feature.sequence is None:
        return _column(feature, rows, None)
    spec = feature.sequence
    parts = [elements(row, spec.delimiter, spec.length) for row in rows]
    lengths = np.array([len(part) for part in parts], np.int64)
    return _column(feature, [element for part in parts for element in part], lengths)


def _column(
    feature: Feature, entries: Sequence[Raw], seq_lengths: npt.NDArray[np.int64] | None
) -> Column:
    if not feature.sparse:
        dense = np.array([_numbers(feature, e) for e in entries], np.float64)
        with np.errstate(over="ignore"):
            single = dense.reshape(len(entries), feature.value_dim).astype(np.float32)
        return Column(single, seq_lengths=seq_lengths)
    pairs = [_ids(feature, entry) for entry in entries]
    values = np.array([i for entry in pairs for i, _ in entry], np.int64)
    counts = np.array([len(entry) for entry in pairs], np.int64)
    weights = None
    if feature.weighted:
        weights = np.array([w for entry in pairs for _, w in entry], np.float32)
    if seq_lengths is None:
        return Column(values, lengths=counts, weights=weights)
    return Column(values, key_lengths=counts, seq_lengths=seq_lengths, weights=weights)


def _ids(feature: Feature, entry: Raw) -> list[tuple[int, float]]:
    if feature.kind == "raw":
        return [(bucketize(feature, x), 1.0) for x in _numbers(feature, entry)]
    if feature.weighted:
        pairs = weighted_tokens(entry, feature.separator, feature.kv_separator)
    else:
        pairs = [(token, 1.0) for token in tokens(entry, feature.separator)]
    if isinstance(feature.bucketizer, NumBuckets):
        pairs = [(token, weight) for token, weight in pairs if parse_int(token) is not None]
    pairs = pairs or [(token, 1.0) for token in feature.default]
    pairs = pairs[: feature.value_dim or None]
    return [(bucketize(feature, token), weight) for token, weight in pairs]


def _numbers(feature: Feature, entry: Raw) -> list[float]:
    default = default_numbers(feature)
    given: list[float | None] = []
    if isinstance(entry, bool | int | float):
        given = [float(entry)]
    elif is_list(entry):
        given = [parse_float(to_bytes(part)) for part in entry]  # type: ignore[attr-defined]
    else:
        given = [parse_float(token) for token in tokens(entry, feature.separator)]
    given = (given + [None] * feature.value_dim)[: feature.value_dim]
    values = [d if g is None or math.isnan(g) else g for g, d in zip(given, default, strict=True)]
    return [normalize(feature.normalizer, value) for value in values]


def default_numbers(feature: Feature) -> list[float]:
    """The numbers a raw feature takes in place of missing ones, `value_dim` of them."""
    given = [parse_float(token) or 0.0 for token in feature.default] or [0.0]
    return given * feature.value_dim if len(given) == 1 else given


def bucketize(feature: Feature, value: bytes | float) -> int:
    """The id of one value: bytes for an id feature, a number for a raw one.

    num_buckets: an integer outside [0, buckets) stays as it is; a look-up by it reports it. NaN is
    above no boundary: bucket 0.
    """
    by = feature.bucketizer
    if isinstance(by, Boundaries):
        assert isinstance(value, float)
        edges = [float(np.float32(edge)) for edge in by.values]
        with np.errstate(over="ignore"):
            single = float(np.float32(value))
        return 0 if math.isnan(single) else bisect.bisect_right(edges, single)
    assert isinstance(value, bytes)
    word = feature.prefix + value
    if isinstance(by, HashBucket):
        return HASHES[by.hash](word) % by.buckets
    if isinstance(by, Vocabulary):
        return _vocabulary(by).get(word, by.default_code)
    return parse_int(value) or 0


_VOCABULARIES: dict[int, tuple[Vocabulary, dict[bytes, int]]] = {}


def _vocabulary(vocabulary: Vocabulary) -> dict[bytes, int]:
    known = _VOCABULARIES.get(id(vocabulary))
    if known is None or known[0] is not vocabulary:
        known = (vocabulary, dict(vocabulary.entries))
        _VOCABULARIES[id(vocabulary)] = known
    return known[1]


def normalize(normalizer: Normalizer | None, x: float) -> float:
    """A number after its normalizer, in float64. NaN stays NaN, except under log10: its default."""
    if normalizer is None:
        return x
    if isinstance(normalizer, Log10Normalizer):
        return math.log10(x) if x > normalizer.threshold else normalizer.default
    if isinstance(normalizer, ZScoreNormalizer):
        return (x - normalizer.mean) / normalizer.standard_deviation
    if isinstance(normalizer, MinMaxNormalizer):
        return (x - normalizer.minimum) / (normalizer.maximum - normalizer.minimum)
    return evaluate(normalizer.expression, {"x": x})
