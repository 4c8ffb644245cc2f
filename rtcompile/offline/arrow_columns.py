"""Feature columns as Arrow arrays, without a copy of their values.

ids                    list<int64>
numbers                float, or list<float> where value_dim is not 1
in a sequence          one list more around these
weights                the same as their ids, float, in a column NAME__weights
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow

from rtcompile.runtime.columns import Column

__all__ = ["to_table"]


def to_table(columns: Mapping[str, Column]) -> Any:
    """A pyarrow.Table with the columns in their order, weights behind their ids."""
    arrays: dict[str, Any] = {}
    for name, column in columns.items():
        arrays[name] = _nested(column, column.values)
        if column.weights is not None:
            arrays[f"{name}__weights"] = _nested(column, column.weights)
    return pyarrow.table(arrays)


def _nested(column: Column, values: npt.NDArray[Any]) -> Any:
    counts = column.lengths if column.seq_lengths is None else column.key_lengths
    found = pyarrow.array(values.reshape(-1))
    if counts is not None:
        found = _lists(found, counts)
    elif values.shape[1] != 1:
        found = _lists(found, np.full(len(values), values.shape[1]))
    return found if column.seq_lengths is None else _lists(found, column.seq_lengths)


def _lists(values: Any, lengths: npt.NDArray[np.int64]) -> Any:
    offsets = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    return pyarrow.ListArray.from_arrays(pyarrow.array(offsets), values)
