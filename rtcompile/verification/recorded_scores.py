"""Rows that training scored: read from a file, with their scores and labels.

.parquet, .csv   a column a field (or graph input), and one for each output's scores
.jsonl           an object a row; a field that a row lacks is missing in it
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rtcompile.errors import DataError
from rtcompile.files.input_lines import numbered_lines, parse_object

__all__ = ["ScoredRows", "read_scored_rows"]


@dataclass(frozen=True)
class ScoredRows:
    """`columns`: field -> a value a row. `scores`: output -> float64 [rows, ...]."""

    rows: int
    columns: Mapping[str, Sequence[Any]]
    scores: Mapping[str, npt.NDArray[np.float64]]
    labels: npt.NDArray[np.float64] | None


def read_scored_rows(
    path: Path, fields: Sequence[str], scores: Mapping[str, str], label: str | None
) -> ScoredRows:
    """Rows of `path`. `scores`: output -> column. Raises DataError."""
    columns = _columns(path)
    wanted = [*fields, *scores.values(), *([label] if label else [])]
    missing = [name for name in dict.fromkeys(wanted) if name not in columns]
    if missing:
        raise DataError(
            f"{path}: columns {', '.join(map(repr, missing))} are missing; it has "
            f"{', '.join(map(repr, columns)) or 'none'}"
        )
    rows = len(next(iter(columns.values()), ()))
    if not rows:
        raise DataError(f"{path}: has no rows")
    found = {output: _numbers(path, name, columns[name]) for output, name in scores.items()}
    labels = _numbers(path, label, columns[label]).reshape(rows, -1)[:, 0] if label else None
    return ScoredRows(rows, {name: columns[name] for name in fields}, found, labels)


def _columns(path: Path) -> dict[str, list[Any]]:
    if path.suffix == ".jsonl":
        rows = [parse_object(f"{path}, line {n}", line) for n, line in numbered_lines(path)]
        names = dict.fromkeys(name for row in rows for name in row)
        return {name: [row.get(name) for row in rows] for name in names}
    if path.suffix not in (".parquet", ".csv"):
        raise DataError(f"{path}: rows come as .parquet, .csv or .jsonl")
    import pyarrow
    import pyarrow.csv
    import pyarrow.parquet

    read = pyarrow.parquet.read_table if path.suffix == ".parquet" else pyarrow.csv.read_csv
    try:
        table = read(path)
        return {name: table[name].to_pylist() for name in table.column_names}
    except (OSError, pyarrow.ArrowException) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error


def _numbers(path: Path, name: str, column: Sequence[Any]) -> npt.NDArray[np.float64]:
    """A column of numbers, or of as many a row."""
    for row, value in enumerate(column):
        if value is None:
            raise DataError(f"{path}: column {name!r} has no value in row {row}")
    try:
        return np.asarray(column, np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}: column {name!r} is no number in every row: {error}") from error
