"""Features of a request as lines for a log, and what differs from a logged line.

A line is a JSON object, a feature a key, in the form that `rtcompile extract` writes too, so that
logged lines are training samples as they are:

    ids                    [3, 17]
    numbers                0.5, or [0.5, 2.0] where value_dim is not 1
    in a sequence          a list of these
    weights                like their ids, in NAME__weights

Numbers are float32, written with the digits that read back as them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rtcompile.runtime.columns import Column
from rtcompile.runtime.errors import RequestError

__all__ = ["Difference", "differences", "row_values", "to_lines"]


@dataclass(frozen=True)
class Difference:
    """A feature's values in a log and now; None where it is not there at all."""

    logged: object
    now: object


def to_lines(columns: Mapping[str, Column], rows: int) -> list[str]:
    """A line a row. A column of one row, the user's, counts for all."""
    return [json.dumps(row) for row in row_values(columns, rows)]


def row_values(columns: Mapping[str, Column], rows: int) -> list[dict[str, Any]]:
    """Feature -> its values, a mapping a row."""
    named: dict[str, list[Any]] = {}
    for name, column in columns.items():
        named[name] = _nested(column, column.values)
        if column.weights is not None:
            named[f"{name}__weights"] = _nested(column, column.weights)
    return [
        {name: values[row if len(values) > 1 else 0] for name, values in named.items()}
        for row in range(rows)
    ]


def _nested(column: Column, values: npt.NDArray[Any]) -> list[Any]:
    counts = column.lengths if column.seq_lengths is None else column.key_lengths
    if counts is not None:
        entries = _grouped(values.tolist(), counts)
    else:
        entries = (values[:, 0] if values.shape[1] == 1 else values).tolist()
    return entries if column.seq_lengths is None else _grouped(entries, column.seq_lengths)


def _grouped(values: list[Any], lengths: npt.NDArray[np.int64]) -> list[Any]:
    ends = np.cumsum(lengths).tolist()
    return [values[end - n : end] for end, n in zip(ends, lengths.tolist(), strict=True)]


def differences(now: Mapping[str, Any], line: str) -> dict[str, Difference]:
    """The features in which a row differs from a logged line. Raises RequestError for a bad line.

    `now`: of `row_values`. NaN equals NaN.
    """
    try:
        logged = json.loads(line)
    except (TypeError, ValueError, RecursionError) as error:
        raise RequestError(f"logged line: not JSON: {error}") from error
    if not isinstance(logged, dict):
        raise RequestError("logged line: an object of features is needed")
    return {
        name: Difference(logged.get(name), now.get(name))
        for name in dict.fromkeys([*now, *logged])
        if not _same(logged.get(name), now.get(name))
    }


def _same(one: object, other: object) -> bool:
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    return type(one) is type(other) and one == other
