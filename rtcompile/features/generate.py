"""Random raw rows for a plan, to verify on: values in and out of vocabularies, lists, nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rtcompile.features.column_specs import column_spec, side_readers
from rtcompile.features.plan import Feature, FeaturePlan, Input, NumBuckets, Side, Vocabulary

__all__ = ["generate_columns", "maker"]

_MISSING = 0.1  # share of rows without a value
_MOST_VALUES = 4

# Words that several columns share, so that keys meet their maps.
_POOL = tuple(f"k{i}" for i in range(9))

_Scalar = Callable[[], Any]


def generate_columns(
    plan: FeaturePlan, side: Side, rows: int, rng: np.random.Generator
) -> dict[str, list[Any]]:
    """Column -> `rows` values. A column without a default that must have a value has one."""
    columns = {}
    for name, readers in side_readers(plan, side).items():
        optional = all(f.default or f.sequence is not None for f, _ in readers)
        make = maker(readers, rng)
        columns[name] = [_row(readers[0], optional, make, rng) for _ in range(rows)]
    return columns


def _row(
    reader: tuple[Feature, Input], optional: bool, make: _Scalar, rng: np.random.Generator
) -> Any:
    feature, column = reader
    if column.sequence and feature.sequence is not None:
        if rng.random() < _MISSING:
            return None
        count = int(rng.integers(1, min(feature.sequence.length, 20) + 3))
        return [make() if not optional or rng.random() > _MISSING else None for _ in range(count)]
    return None if optional and rng.random() < _MISSING else make()


def maker(readers: list[tuple[Feature, Input]], rng: np.random.Generator) -> _Scalar:
    """A source of whole values, of the kind that the column's readers take."""
    feature, column = readers[0]
    kind = column_spec(feature, column).kind
    scalar = _scalars(readers, rng)
    if kind in ("number", "present"):
        if feature.value_dim <= 1 or kind == "present":
            return scalar
        return lambda: [scalar() for _ in range(feature.value_dim)]
    if kind.startswith("map"):
        return lambda: {word: str(_mapped(feature, rng)) for word in _words(rng)}
    if kind.startswith("nested"):
        return lambda: "|".join(
            f"{outer}^{','.join(f'{inner}:{_mapped(feature, rng)}' for inner in _words(rng))}"
            for outer in _words(rng)
        )
    if kind == "places" and feature.inputs.index(column) == 1:
        return lambda: [str(bool(rng.integers(2))).lower() for _ in range(_MOST_VALUES)]
    if column_spec(feature, column).pair:
        return lambda: {str(scalar()): float(rng.normal()) for _ in range(_MOST_VALUES)}
    return lambda: _texts(feature, scalar, rng)


def _mapped(feature: Feature, rng: np.random.Generator) -> Any:
    by = feature.bucketizer
    if isinstance(by, NumBuckets):
        return int(rng.integers(0, by.buckets))
    return float(np.round(rng.normal(scale=9), 2)) if feature.numeric else _POOL[rng.integers(3)]


def _words(rng: np.random.Generator) -> list[str]:
    count = int(rng.integers(1, len(_POOL)))
    return [_POOL[i] for i in rng.permutation(len(_POOL))[:count]]


def _texts(feature: Feature, scalar: _Scalar, rng: np.random.Generator) -> Any:
    if feature.value_dim == 1 or rng.random() < 0.5:
        return scalar()
    values = [scalar() for _ in range(rng.integers(1, _MOST_VALUES))]
    if len(feature.separator) == 1 and rng.random() < 0.5:
        return feature.separator.join(str(v).encode() for v in values)
    return values


def _scalars(readers: list[tuple[Feature, Input]], rng: np.random.Generator) -> _Scalar:
    """A source of single values that suits every feature that reads the column."""
    if any(column_spec(f, c).kind in ("number", "present") for f, c in readers):
        return lambda: float(np.round(rng.normal(scale=50), 3))
    direct = [f for f, c in readers if len(f.inputs) == 1]
    buckets = [f.bucketizer.buckets for f in direct if isinstance(f.bucketizer, NumBuckets)]
    if buckets:
        return lambda: int(rng.integers(0, min(buckets)))
    words = [word.encode() for word in _POOL]
    for feature in direct:
        if isinstance(feature.bucketizer, Vocabulary):
            words += [word for word, _ in feature.bucketizer.entries if word]
    return lambda: _word(words, rng)


def _word(words: list[bytes], rng: np.random.Generator) -> str:
    if rng.random() < 0.7:
        return words[int(rng.integers(len(words)))].decode("utf-8", "replace")
    letters = rng.integers(ord("a"), ord("z") + 1, int(rng.integers(1, 40)))
    return bytes(letters.astype(np.uint8)).decode()
