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

from rtcompile.features.evaluate import evaluate
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
from rtcompile.features.reference_operators import Cells, number_values, spreads, text_values
from rtcompile.features.values import Raw, elements
from runtime.columns import Column

__all__ = ["bucketize", "default_numbers", "extract", "extract_feature", "normalize"]


def extract(plan: FeaturePlan, columns: Mapping[str, Sequence[Raw]]) -> dict[str, Column]:
    """Every feature of a plan. A column of one row beside columns of n rows counts for all n."""
    wanted = dict.fromkeys(c.name for feature in plan.features for c in feature.columns)
    rows = {len(columns[name]) for name in wanted}
    count = max(rows - {1}, default=max(rows, default=0))
    whole = {n: list(columns[n]) * count if len(columns[n]) == 1 else columns[n] for n in wanted}
    return {feature.name: extract_feature(feature, whole, count) for feature in plan.features}


def extract_feature(feature: Feature, columns: Mapping[str, Sequence[Raw]], rows: int) -> Column:
    """One feature over `rows` rows."""
    if feature.sequence is None:
        cells = [{c: columns[c.name][row] for c in feature.columns} for row in range(rows)]
        return _column(feature, cells, None)
    parts = [_elements(feature, columns, row) for row in range(rows)]
    lengths = np.array([len(part) for part in parts], np.int64)
    return _column(feature, [cells for part in parts for cells in part], lengths)


def _elements(feature: Feature, columns: Mapping[str, Sequence[Raw]], row: int) -> list[Cells]:
    """What each element of a row reads. Plain columns count for every element.

    There are as many as the longest column has. A column with one element counts for all in a
    SeqExpr; else a column has no value where it ends.
    """
    spec = feature.sequence
    assert spec is not None
    split = {
        c: elements(columns[c.name][row], spec.delimiter, spec.length)
        for c in feature.columns
        if c.sequence
    }
    count = max((len(part) for part in split.values()), default=1)
    found: list[Cells] = []
    for place in range(count):
        cells: Cells = {}
        for column in feature.columns:
            if column.sequence:
                part = split[column]
                wide = len(part) == 1 and spreads(feature.operator)
                inside = place < len(part)
                cells[column] = part[0] if wide else part[place] if inside else None
            else:
                cells[column] = columns[column.name][row]
        found.append(cells)
    return found


def _column(
    feature: Feature, entries: Sequence[Cells], seq_lengths: npt.NDArray[np.int64] | None
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


def _ids(feature: Feature, cells: Cells) -> list[tuple[int, float]]:
    if feature.numeric:
        return [(bucketize(feature, x), 1.0) for x in _numbers(feature, cells)]
    pairs = text_values(feature, cells)
    if isinstance(feature.bucketizer, NumBuckets):
        pairs = [(token, weight) for token, weight in pairs if parse_int(token) is not None]
    pairs = pairs or [(token, 1.0) for token in feature.default]
    pairs = pairs[: feature.value_dim or None]
    return [(bucketize(feature, token), weight) for token, weight in pairs]


def _numbers(feature: Feature, cells: Cells) -> list[float]:
    """Normalized: exactly value_dim where that is wanted, else what there is, or the default."""
    given = number_values(feature, cells)
    default = default_numbers(feature)
    if feature.exact:
        given = (given + [None] * feature.value_dim)[: feature.value_dim]
        values = [
            d if g is None or math.isnan(g) else g for g, d in zip(given, default, strict=True)
        ]
    else:
        present = [g for g in given if g is not None and not math.isnan(g)]
        values = (present or default)[: feature.value_dim or None]
    return [normalize(feature.normalizer, value) for value in values]


def default_numbers(feature: Feature) -> list[float]:
    """The numbers in place of missing ones: `value_dim` of them where the feature is exact."""
    given = [parse_float(token) or 0.0 for token in feature.default]
    if not feature.exact:
        return given
    return (given or [0.0]) * feature.value_dim if len(given) <= 1 else given


def bucketize(feature: Feature, value: bytes | float) -> int:
    """The id of one value: bytes for an id feature, a number for a raw one.

    num_buckets: a number loses its fraction; an integer outside [0, buckets) stays as it is, and a
    look-up by it reports it. NaN is above no boundary: bucket 0.
    """
    by = feature.bucketizer
    if isinstance(value, float) and isinstance(by, NumBuckets):
        return _cut(value)
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


def _cut(value: float) -> int:
    """A number without its fraction; 0 for what no int64 holds."""
    return int(value) if -(2.0**63) <= value < 2.0**63 else 0


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
