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

__all__ = ["read_columns", "read_rows"]


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


def read_columns(path: Path, plan: FeaturePlan, label: str | None = None) -> dict[str, list[Any]]:
    """The raw columns of rows, or of requests taken apart, and the label's. Raises DataError."""
    if path.suffix == ".jsonl" and _holds_requests(path):
        return _flattened(path, plan, label)
    return read_rows(path, plan, extra=(label,) if label else ())


def _holds_requests(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8") as file:
            first = json.loads(next(file, "null"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(first, dict) and {"user", "items"} <= set(first)


def _flattened(path: Path, plan: FeaturePlan, label: str | None) -> dict[str, list[Any]]:
    names = {side: plan.columns(side) for side in Side}
    columns: dict[str, list[Any]] = {n: [] for side in Side for n in names[side]}
    if label:
        columns[label] = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        try:
            request = json.loads(line)
            items = request["items"]
            context = {**request.get("context", {})}
            if label:
                context[label] = request[label]
            for name in names[Side.USER]:
                columns[name] += [request["user"][name]] * len(items)
            for name in names[Side.ITEM]:
                columns[name] += [item[name] for item in items]
            for name in (*names[Side.CONTEXT], *([label] if label else [])):
                if len(context[name]) != len(items):
                    raise ValueError(f"{name!r} has not a value an item")
                columns[name] += context[name]
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            raise DataError(
                f"{path}, line {number}: not a request with its items' fields in place: {what}"
            ) from error
    return columns


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
