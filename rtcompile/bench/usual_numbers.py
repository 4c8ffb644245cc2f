"""Plain numbers in numpy, as a service would write it: normalized and bucketized by the column.

Gives the same values as the reference, which the tests check.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rtcompile.features.operators import Values
from rtcompile.features.plan import (
    Boundaries,
    Feature,
    Input,
    Log10Normalizer,
    MinMaxNormalizer,
    ZScoreNormalizer,
)
from rtcompile.runtime.columns import Column

__all__ = ["number_column", "reads_numbers"]


def reads_numbers(feature: Feature) -> bool:
    """Whether a feature is a number a row, perhaps normalized or bucketized by boundaries."""
    plain = isinstance(feature.operator, Values) and isinstance(feature.inputs[0], Input)
    known = ZScoreNormalizer | MinMaxNormalizer | Log10Normalizer | None
    scaled = isinstance(feature.normalizer, known)
    cut = isinstance(feature.bucketizer, Boundaries | None)
    single = feature.numeric and feature.value_dim == 1 and feature.sequence is None
    return plain and scaled and cut and single


def number_column(feature: Feature, values: Sequence[Any]) -> Column | None:
    """The feature of each row; None where a value is no float."""
    if any(value.__class__ is not float for value in values):
        return None
    numbers = np.array(values, np.float64)
    if np.isnan(numbers).any():
        return None
    by = feature.normalizer
    if isinstance(by, ZScoreNormalizer):
        numbers = (numbers - by.mean) / by.standard_deviation
    elif isinstance(by, Log10Normalizer):
        large = numbers > by.threshold
        logs = np.log10(numbers, where=large, out=np.zeros_like(numbers))
        numbers = np.where(large, logs, by.default)
    elif isinstance(by, MinMaxNormalizer):
        numbers = (numbers - by.minimum) / (by.maximum - by.minimum)
    with np.errstate(over="ignore"):
        single = numbers.astype(np.float32)
    if feature.bucketizer is None:
        return Column(single.reshape(-1, 1))
    assert isinstance(feature.bucketizer, Boundaries)
    edges = np.array(feature.bucketizer.values, np.float32)
    ids = np.searchsorted(edges, single, side="right").astype(np.int64)
    return Column(ids, lengths=np.ones(len(ids), np.int64))
