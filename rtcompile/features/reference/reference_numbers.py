"""How the numbers of a feature end, in plain Python: defaults and normalizers."""

from __future__ import annotations

import math

from rtcompile.features.evaluate import evaluate
from rtcompile.features.numbers import parse_float
from rtcompile.features.plan import (
    Feature,
    Log10Normalizer,
    MinMaxNormalizer,
    Normalizer,
    NumBuckets,
    ZScoreNormalizer,
)
from rtcompile.features.reference.reference_buckets import is_int64

__all__ = ["default_numbers", "finish", "normalize", "normalized"]


def finish(feature: Feature, given: list[float | None]) -> list[float]:
    """Exactly value_dim where that is wanted, else what there is, or the default.

    What is given is normalized; a default is what it says.
    """
    default = default_numbers(feature)
    if feature.exact:
        given = (given + [None] * feature.value_dim)[: feature.value_dim]
        found = [normalized(feature, g) for g in given]
        return [d if f is None else f for f, d in zip(found, default, strict=True)]
    present = [f for g in given if (f := normalized(feature, g)) is not None]
    return (present or default)[: feature.value_dim or None]


def normalized(feature: Feature, given: float | None) -> float | None:
    """A number after the feature's normalizer; None where it has no value, or is to be an id and no
    int64 holds it."""
    if given is None or math.isnan(given):
        return None
    found = normalize(feature.normalizer, given)
    return found if not isinstance(feature.bucketizer, NumBuckets) or is_int64(found) else None


def default_numbers(feature: Feature) -> list[float]:
    """The numbers in place of missing ones: `value_dim` of them where the feature is exact."""
    given = [parse_float(token) or 0.0 for token in feature.default]
    if not feature.exact:
        return given
    return (given or [0.0]) * feature.value_dim if len(given) <= 1 else given


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
