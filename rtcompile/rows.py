"""Real rows to verify on: one row a (user, item, context), columns by their raw names."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from rtcompile.errors import DataError
from rtcompile.features.plan import FeaturePlan, Side

__all__ = ["read_rows"]


def read_rows(
    path: str | Path, plan: FeaturePlan, extra: Sequence[str] = ()
) -> dict[str, list[Any]]:
    """The columns that the plan reads, and `extra` ones, of a .parquet or .jsonl file.

    Raises DataError.
    """
    path = Path(path)
    try:
        if path.suffix == ".parquet":
            columns = pyarrow.parquet.read_table(path).to_pydict()
        elif path.suffix == ".jsonl":
            columns = _json_lines(path)
        else:
            raise DataError(f"{path}: rows come as .parquet or .jsonl")
    except (OSError, UnicodeDecodeError, pyarrow.ArrowInvalid) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    wanted = [*(name for side in Side for name in plan.columns(side)), *extra]
    missing = [name for name in wanted if name not in columns]
    if missing:
        raise DataError(f"{path}: columns {', '.join(map(repr, missing))} are missing")
    return {name: columns[name] for name in wanted}


def _json_lines(path: Path) -> dict[str, list[Any]]:
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}, line {number}: not JSON: {error}") from error
        if not isinstance(row, dict):
            raise DataError(f"{path}, line {number}: an object is needed")
        rows.append(row)
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}
