"""Read an item table from a file."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from rtcompile.runtime.errors import RequestError

__all__ = ["read_items", "read_json_lines"]


# Bytes of a line; what has no end of a line for longer is no such file.
_LONGEST_LINE = 64 << 20


def read_items(path: str | Path) -> Any:
    """Rows or columns of a .jsonl, .csv or .parquet file. Raises RequestError that says where.

    A path without suffix that is no file, as of a pipe, has JSON lines.
    """
    path = Path(path)
    readers = {".jsonl": _json_lines, ".csv": _csv, ".parquet": _parquet}
    reader = readers.get(path.suffix)
    try:
        if reader is None and not path.suffix and path.exists() and not path.is_file():
            reader = _json_lines
        if reader is None:
            raise RequestError(f"{path}: an item file is one of {', '.join(readers)}")
        return reader(path)
    except OSError as error:
        raise RequestError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise RequestError(f"{path}: not UTF-8: {error.reason}") from error


def _json_lines(path: Path) -> list[dict[str, Any]]:
    with path.open("rb") as lines:
        return read_json_lines(lines, str(path))


def read_json_lines(lines: BinaryIO, name: str) -> list[dict[str, Any]]:
    """The objects of JSON lines in UTF-8. Raises RequestError that says where in `name`."""
    rows: list[dict[str, Any]] = []
    number = 0
    while line := lines.readline(_LONGEST_LINE + 1):
        number += 1
        if len(line) > _LONGEST_LINE:
            raise RequestError(f"{name}, line {number}: longer than {_LONGEST_LINE >> 20} MB")
        if not line.strip():
            continue
        try:
            row = json.loads(line.decode())
        except UnicodeDecodeError as error:
            raise RequestError(f"{name}, line {number}: not UTF-8: {error.reason}") from error
        except (ValueError, RecursionError) as error:
            raise RequestError(f"{name}, line {number}: not JSON: {error}") from error
        if not isinstance(row, dict):
            raise RequestError(f"{name}, line {number}: an object is needed")
        rows.append(row)
    return rows


def _csv(path: Path) -> dict[str, list[str | None]]:
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        names = next(_csv_rows(path, reader), None)
        if names is None:
            raise RequestError(f"{path}: empty; a line of column names is needed")
        columns: dict[str, list[str | None]] = {name: [] for name in names}
        for row in _csv_rows(path, reader):
            if len(row) != len(names):
                raise RequestError(
                    f"{path}, line {reader.line_num}: {len(row)} fields instead of {len(names)}"
                )
            for name, value in zip(names, row, strict=True):
                columns[name].append(value or None)
    return columns


def _csv_rows(path: Path, reader: Any) -> Iterator[list[str]]:
    try:
        yield from reader
    except csv.Error as error:  # a field of over 131,072 characters, a null byte
        raise RequestError(f"{path}, line {reader.line_num}: not CSV: {error}") from error


def _parquet(path: Path) -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise RequestError(f"{path}: reading Parquet needs pyarrow; install it") from error
    try:
        return pyarrow.parquet.read_table(path)
    except pyarrow.ArrowException as error:
        raise RequestError(f"{path}: not Parquet: {error}") from error
