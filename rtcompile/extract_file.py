"""`rtcompile extract`: the features of every row of a file, by the kernels that serve."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet

import runtime
from rtcompile.artifact import write_atomically
from rtcompile.errors import DataError
from runtime.columns import Column
from runtime.read_items import read_items

__all__ = ["extract_file"]


def extract_file(config: Path, source: Path, output: Path) -> int:
    """Extract the features of every row of `source`; returns how many rows there were.

    `config` is a feature config or an artifact, `source` a .jsonl, .csv or .parquet file whose
    columns are the raw fields. `output`, .parquet or .jsonl, appears whole or not at all: ids are
    lists of integers, numbers floats or lists, a sequence's features lists a row; weights are a
    column FEATURE__weights. Raises DataError, ConfigError or an error of the runtime.
    """
    if output.suffix not in (".parquet", ".jsonl"):
        raise DataError(f"{output}: features are written as .parquet or .jsonl")
    table = _columns(source)
    rows = len(next(iter(table.values()), []))
    columns = _extract(config, table, rows, source)
    values = {name: part for f, c in columns.items() for name, part in _nested(f, c).items()}
    data = _parquet(values) if output.suffix == ".parquet" else _json_lines(values, rows)
    write_atomically(output, [(0, data)], len(data))
    return rows


def _columns(source: Path) -> dict[str, list[Any]]:
    try:
        table = read_items(source)
    except runtime.RequestError as error:
        raise DataError(str(error)) from error
    if isinstance(table, list):
        names = dict.fromkeys(name for row in table for name in row)
        return {name: [row.get(name) for row in table] for name in names}
    return dict(table.to_pydict()) if hasattr(table, "to_pydict") else dict(table)


def _extract(
    config: Path, table: Mapping[str, list[Any]], rows: int, source: Path
) -> Mapping[str, Column]:
    try:
        with config.open("rb") as file:
            is_artifact = file.read(len(runtime.artifact.MAGIC)) == runtime.artifact.MAGIC
    except OSError as error:
        raise DataError(f"{config}: cannot be read: {error.strerror or error}") from error
    if is_artifact:
        return runtime.load(config).extract_rows(table, rows)
    from rtcompile.features import compile_features

    try:
        return compile_features(config)(table)
    except DataError as error:
        raise DataError(f"{source}: {error}") from error


def _nested(name: str, column: Column) -> dict[str, list[Any]]:
    """A value a row: ids as lists, numbers as a number or a list; in a sequence one level more."""
    found = {name: _grouped(column, column.values)}
    if column.weights is not None:
        found[f"{name}__weights"] = _grouped(column, column.weights)
    return found


def _grouped(column: Column, values: Any) -> list[Any]:
    counts = column.lengths if column.seq_lengths is None else column.key_lengths
    if counts is not None:
        entries = [part.tolist() for part in _cut(values, counts)]
    else:
        entries = (values[:, 0] if values.shape[1] == 1 else values).tolist()
    if column.seq_lengths is None:
        return entries
    ends = np.cumsum(column.seq_lengths).tolist()
    return [entries[end - n : end] for end, n in zip(ends, column.seq_lengths, strict=True)]


def _cut(values: Any, counts: Any) -> list[Any]:
    return np.split(values, np.cumsum(counts)[:-1]) if len(counts) else []


def _parquet(values: Mapping[str, list[Any]]) -> bytes:
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(dict(values)), buffer)
    return buffer.getvalue()


def _json_lines(values: Mapping[str, list[Any]], rows: int) -> bytes:
    lines = [{name: column[row] for name, column in values.items()} for row in range(rows)]
    return "".join(f"{json.dumps(line)}\n" for line in lines).encode()
