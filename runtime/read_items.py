"""Read an item table from a file."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from runtime.errors import RequestError

__all__ = ["read_items"]


def read_items(path: str | Path) -> Any:
    """Rows or columns of a .jsonl, .csv or .parquet file. Raises RequestError that says where."""
    path = Path(path)
    readers = {".jsonl": _json_lines, ".csv": _csv, ".parquet": _parquet}
    reader = readers.get(path.suffix)
    if reader is None:
        raise RequestError(f"{path}: an item file is one of {', '.join(readers)}")
    try:
        return reader(path)
    except OSError as error:
        raise RequestError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise RequestError(f"{path}: not UTF-8: {error.reason}") from error


def _json_lines(path: Path) -> list[dict[str, Any]]:
    rows = []
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise RequestError(f"{path}, line {number}: not JSON: {error}") from error
            if not isinstance(row, dict):
                raise RequestError(f"{path}, line {number}: an object is needed")
            rows.append(row)
    return rows


def _csv(path: Path) -> dict[str, list[str | None]]:
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        names = next(reader, None)
        if names is None:
            raise RequestError(f"{path}: empty; a line of column names is needed")
        columns: dict[str, list[str | None]] = {name: [] for name in names}
        for row in reader:
            if len(row) != len(names):
                raise RequestError(
                    f"{path}, line {reader.line_num}: {len(row)} fields instead of {len(names)}"
                )
            for name, value in zip(names, row, strict=True):
                columns[name].append(value or None)
    return columns


def _parquet(path: Path) -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise RequestError(f"{path}: reading Parquet needs pyarrow; install it") from error
    try:
        return pyarrow.parquet.read_table(path)
    except pyarrow.ArrowInvalid as error:
        raise RequestError(f"{path}: not Parquet: {error}") from error
