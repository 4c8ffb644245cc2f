"""Rows of raw values at the edges: nothing, the ends of tables, more than is kept.

missing   no value, where the features that read the column have a default
empty     a list, map or text of nothing, there too
first     id 0, the first word of a vocabulary, 0
last      the last id, the last word of a vocabulary, a million
full      a sequence longer than is kept, of usual values
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rtcompile.features.column_specs import column_spec, side_readers
from rtcompile.features.generate import maker
from rtcompile.features.plan import Feature, FeaturePlan, Input, NumBuckets, Side, Vocabulary

__all__ = ["EDGES", "set_edge"]

EDGES = ("missing", "empty", "first", "last", "full")

_LARGE = 1e6


def set_edge(
    plan: FeaturePlan,
    side: Side,
    columns: dict[str, list[Any]],
    row: int,
    edge: str,
    rng: np.random.Generator,
) -> None:
    """Make `row` of a side's columns what `edge` says; values that have no such edge stay."""
    for name, readers in side_readers(plan, side).items():
        values = columns[name]
        values[row] = _edge(readers, values[row], edge, rng)


def _edge(
    readers: list[tuple[Feature, Input]], drawn: Any, edge: str, rng: np.random.Generator
) -> Any:
    feature, column = readers[0]
    in_sequence = column.sequence and feature.sequence is not None
    if edge in ("missing", "empty"):
        if not all(f.default or f.sequence is not None for f, _ in readers):
            return drawn
        return None if edge == "missing" else _nothing(feature, column, in_sequence)
    if edge == "full":
        if not in_sequence or feature.sequence is None:
            return drawn
        make = maker(readers, rng)
        return [make() for _ in range(feature.sequence.length + 1)]
    scalar = _end(readers, edge == "last")
    if scalar is None:
        return drawn
    return [scalar] if in_sequence else scalar


def _nothing(feature: Feature, column: Input, in_sequence: bool) -> Any:
    if in_sequence:
        return []
    kind = column_spec(feature, column).kind
    return {} if kind.startswith("map") else None if kind in ("number", "present") else ""


def _end(readers: list[tuple[Feature, Input]], last: bool) -> Any:
    """A single value that every reader takes; None where they have no common end."""
    if any(len(f.inputs) > 1 or f.weighted for f, _ in readers):
        return None
    if any(column_spec(f, c).kind in ("number", "present") for f, c in readers):
        if any(f.value_dim > 1 for f, _ in readers):
            return None
        return _LARGE if last else 0.0
    buckets = [f.bucketizer.buckets for f, _ in readers if isinstance(f.bucketizer, NumBuckets)]
    if buckets:
        return min(buckets) - 1 if last else 0
    by = readers[0][0].bucketizer
    if isinstance(by, Vocabulary):
        words = [word for word, _ in by.entries if word]
        return words[-1 if last else 0].decode("utf-8", "replace") if words else None
    return None
