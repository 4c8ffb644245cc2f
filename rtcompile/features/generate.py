"""Random raw rows for a plan, to verify on: values in and out of vocabularies, lists, nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rtcompile.features.plan import Feature, FeaturePlan, NumBuckets, Side, Vocabulary

__all__ = ["generate_columns"]

_MISSING = 0.1  # share of rows without a value
_MOST_VALUES = 4


def generate_columns(
    plan: FeaturePlan, side: Side, rows: int, rng: np.random.Generator
) -> dict[str, list[Any]]:
    """Column -> `rows` values. A column without a default that must have a value has one."""
    columns = {}
    for name in plan.columns(side):
        readers = [f for f in plan.features if f.input.side is side and f.input.name == name]
        columns[name] = [_row(readers, rng) for _ in range(rows)]
    return columns


def _row(readers: list[Feature], rng: np.random.Generator) -> Any:
    feature = readers[0]
    value = _scalars(readers, rng)
    optional = all(f.default or f.sequence is not None for f in readers)
    if feature.sequence is not None:
        if rng.random() < _MISSING:
            return None
        count = int(rng.integers(1, feature.sequence.length + 3))
        return [_entry(feature, value, optional, rng) for _ in range(count)]
    return _entry(feature, value, optional, rng)


def _entry(
    feature: Feature, value: Callable[[], Any], optional: bool, rng: np.random.Generator
) -> Any:
    if optional and rng.random() < _MISSING:
        return None
    if feature.kind == "raw":
        return value() if feature.value_dim == 1 else [value() for _ in range(feature.value_dim)]
    if feature.weighted:
        return {str(value()): float(rng.normal()) for _ in range(rng.integers(1, _MOST_VALUES))}
    if feature.value_dim == 1 or rng.random() < 0.5:
        return value()
    values = [value() for _ in range(rng.integers(1, _MOST_VALUES))]
    if len(feature.separator) == 1 and rng.random() < 0.5:
        return feature.separator.join(str(v).encode() for v in values)
    return values


def _scalars(readers: list[Feature], rng: np.random.Generator) -> Callable[[], Any]:
    """A source of single values that suits every feature that reads the column."""
    if any(f.kind == "raw" for f in readers):
        return lambda: float(np.round(rng.normal(scale=50), 3))
    buckets = [f.bucketizer.buckets for f in readers if isinstance(f.bucketizer, NumBuckets)]
    if buckets:
        return lambda: int(rng.integers(0, min(buckets)))
    words: list[bytes] = []
    for feature in readers:
        if isinstance(feature.bucketizer, Vocabulary):
            words += [word for word, _ in feature.bucketizer.entries if word]
    return lambda: _word(words, rng)


def _word(words: list[bytes], rng: np.random.Generator) -> str:
    if words and rng.random() < 0.8:
        return words[int(rng.integers(len(words)))].decode("utf-8", "replace")
    letters = rng.integers(ord("a"), ord("z") + 1, int(rng.integers(1, 40)))
    return bytes(letters.astype(np.uint8)).decode()
