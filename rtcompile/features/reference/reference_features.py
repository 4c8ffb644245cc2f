"""The features in plain Python: the definition that kernels and verification are held to.

A row without values takes the default's values; with an empty default it has none. A default goes
through the bucketizer as any value does, but has no prefix and is not normalized. Ids: at most
`value_dim` values a row, the first ones, 0 for all. Numbers: exactly `value_dim`; a value that is
no number, NaN included, takes the default's in its place, surplus values are dropped, missing ones
take the default's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from rtcompile.features.plan import Feature, FeaturePlan
from rtcompile.features.reference.reference_cells import Cells, element_cells
from rtcompile.features.reference.reference_operators import finished_numbers, weighted_ids
from rtcompile.features.values import Raw
from rtcompile.runtime.columns import Column
from rtcompile.runtime.encoding.plain_values import plain
from rtcompile.runtime.encoding.raw_values import listed

__all__ = ["extract", "extract_feature"]


def extract(plan: FeaturePlan, columns: Mapping[str, Sequence[Raw]]) -> dict[str, Column]:
    """Every feature of a plan. A column of one row beside columns of n rows counts for all n."""
    wanted = dict.fromkeys(c.name for feature in plan.features for c in feature.columns)
    rows = {len(columns[name]) for name in wanted}
    count = max(rows - {1}, default=max(rows, default=0))
    read = {name: [plain(raw) for raw in listed(columns[name])] for name in wanted}
    whole = {name: raws * count if len(raws) == 1 else raws for name, raws in read.items()}
    return {feature.name: extract_feature(feature, whole, count) for feature in plan.features}


def extract_feature(feature: Feature, columns: Mapping[str, Sequence[Raw]], rows: int) -> Column:
    """One feature over `rows` rows."""
    cells = [Cells({c: columns[c.name][row] for c in feature.columns}) for row in range(rows)]
    if feature.sequence is None:
        return _column(feature, cells, None)
    parts = [element_cells(feature, row) for row in cells]
    lengths = np.array([len(part) for part in parts], np.int64)
    return _column(feature, [one for part in parts for one in part], lengths)


def _column(
    feature: Feature, entries: Sequence[Cells], seq_lengths: npt.NDArray[np.int64] | None
) -> Column:
    if not feature.sparse:
        dense = np.array([finished_numbers(feature, e) for e in entries], np.float64)
        with np.errstate(over="ignore"):
            single = dense.reshape(len(entries), feature.value_dim).astype(np.float32)
        return Column(single, seq_lengths=seq_lengths)
    pairs = [weighted_ids(feature, entry) for entry in entries]
    values = np.array([i for entry in pairs for i, _ in entry], np.int64)
    counts = np.array([len(entry) for entry in pairs], np.int64)
    weights = None
    if feature.weighted:
        weights = np.array([w for entry in pairs for _, w in entry], np.float32)
    if seq_lengths is None:
        return Column(values, lengths=counts, weights=weights)
    return Column(values, key_lengths=counts, seq_lengths=seq_lengths, weights=weights)
