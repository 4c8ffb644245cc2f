"""Graph inputs from reference features, in numpy: what the stages compute, defined plainly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rtcompile.compile.binding import BoundInput, Form
from rtcompile.runtime.columns import Column

__all__ = ["graph_inputs", "pool"]


def graph_inputs(
    bound: Sequence[BoundInput], columns: Mapping[str, Column]
) -> dict[str, npt.NDArray[Any]]:
    """Graph input -> array [rows, ...], from the features' columns."""
    return {b.port.name: _input(b, columns[b.feature.name]) for b in bound}


def _input(b: BoundInput, column: Column) -> npt.NDArray[Any]:
    if b.form is Form.LENGTHS:
        assert column.seq_lengths is not None
        return column.seq_lengths.astype(b.port.dtype).reshape(-1, *b.port.shape)
    if b.form is Form.NUMBERS:
        entries = column.values
    elif b.form is Form.POOLED:
        assert b.table is not None
        assert b.feature.embedding is not None
        entries = pool(column, b.table, b.feature.embedding.pooling)
    else:
        width = 1 if b.feature.sequence is not None else b.port.row_elements
        entries = _padded(column, width)
    if column.seq_lengths is not None:
        entries = _in_places(entries, column.seq_lengths, b.port.shape[0])
    return entries.astype(b.port.dtype).reshape(-1, *b.port.shape)


def _counts(column: Column) -> npt.NDArray[np.int64]:
    counts = column.lengths if column.seq_lengths is None else column.key_lengths
    assert counts is not None
    return counts


def _padded(column: Column, width: int) -> npt.NDArray[np.int64]:
    counts = _counts(column)
    out = np.zeros((len(counts), width), np.int64)
    first = 0
    for row, count in enumerate(counts):
        kept = min(int(count), width)
        out[row, :kept] = column.values[first : first + kept]
        first += int(count)
    return out


def pool(column: Column, table: npt.NDArray[np.float32], how: str) -> npt.NDArray[np.float32]:
    """float32 [entries, dimension]: the sum or mean of each entry's rows; zeros where it has none.

    A mean divides by the sum of the weights, unless that is zero.
    """
    counts = _counts(column)
    owner = np.repeat(np.arange(len(counts)), counts)
    weights = column.weights if column.weights is not None else np.ones(len(owner), np.float32)
    out = np.zeros((len(counts), table.shape[1]), np.float32)
    np.add.at(out, owner, table[column.values] * weights[:, None])
    if how == "mean":
        total = np.zeros(len(counts), np.float32)
        np.add.at(total, owner, weights)
        out /= np.where(total == 0, np.float32(1), total)[:, None]
    return out


def _in_places(
    entries: npt.NDArray[Any], lengths: npt.NDArray[np.int64], most: int
) -> npt.NDArray[Any]:
    """Elements one after another to [rows, most, ...], zeros behind the last."""
    out = np.zeros((len(lengths), most, *entries.shape[1:]), entries.dtype)
    first = 0
    for row, length in enumerate(lengths):
        out[row, :length] = entries[first : first + length]
        first += int(length)
    return out
