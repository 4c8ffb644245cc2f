"""Read a file of rows chunk by chunk: Parquet, CSV, JSON-lines.

Nothing is guessed about types: a CSV field is text, and an empty one no value; a JSON value and a
Parquet column are what they are. Memory holds one chunk, whatever the file's size.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet

from rtcompile.errors import DataError

__all__ = ["Chunk", "columns_of", "read_chunks", "total_work"]

_BLOCK_BYTES = 4 << 20


@dataclass(frozen=True)
class Chunk:
    """Rows `first`, `first` + 1, ... of a file. `data`: an Arrow table, or the lines of JSON.

    `work`: how far the file is read, in the unit of `total_work`.
    """

    index: int
    first: int
    data: Any
    work: int

    def packed(self) -> Chunk:
        """The same with the rows of a table alone: a slice would bring all it was cut from."""
        if isinstance(self.data, list):
            return self
        sink = pyarrow.BufferOutputStream()
        with pyarrow.ipc.new_stream(sink, self.data.schema) as writer:
            writer.write_table(self.data)
        return replace(self, data=sink.getvalue().to_pybytes())


def total_work(path: Path) -> int:
    """Rows of a Parquet file, bytes of any other. Raises DataError."""
    try:
        if path.suffix == ".parquet":
            return int(pyarrow.parquet.ParquetFile(path).metadata.num_rows)
        return path.stat().st_size
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    except pyarrow.ArrowInvalid as error:
        raise DataError(f"{path}: not Parquet: {error}") from error


def read_chunks(path: Path, names: tuple[str, ...], rows: int) -> Iterator[Chunk]:
    """Chunks of `rows` rows, the last one shorter. `names`: the columns that are needed.

    Raises DataError.
    """
    readers = {".parquet": _parquet, ".csv": _csv, ".jsonl": _json_lines}
    if path.suffix not in readers:
        raise DataError(f"{path}: rows come as {', '.join(readers)}")
    try:
        yield from readers[path.suffix](path, names, rows)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    except pyarrow.ArrowInvalid as error:
        raise DataError(f"{path}: {error}") from error


def _check(path: Path, names: tuple[str, ...], given: Any) -> None:
    missing = [name for name in names if name not in given]
    if missing:
        listed = ", ".join(map(repr, missing))
        raise DataError(f"{path}: columns {listed} are missing; given are {list(given)}")


def _parquet(path: Path, names: tuple[str, ...], rows: int) -> Iterator[Chunk]:
    with pyarrow.parquet.ParquetFile(path) as file:
        _check(path, names, file.schema_arrow.names)
        batches = file.iter_batches(batch_size=rows, columns=list(names))
        first = 0
        for index, table in enumerate(_regrouped(batches, rows)):
            yield Chunk(index, first, table, first + table.num_rows)
            first += table.num_rows


def _csv(path: Path, names: tuple[str, ...], rows: int) -> Iterator[Chunk]:
    if not path.stat().st_size:
        raise DataError(f"{path}: empty; a line of column names is needed")
    parse = pyarrow.csv.ParseOptions(newlines_in_values=True)
    read = pyarrow.csv.ReadOptions(block_size=_BLOCK_BYTES, use_threads=False)
    with pyarrow.csv.open_csv(path, read, parse) as head:
        given = head.schema.names
    _check(path, names, given)
    convert = pyarrow.csv.ConvertOptions(
        column_types=dict.fromkeys(given, pyarrow.binary()),
        include_columns=list(names),
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=True,
        check_utf8=False,
    )
    with path.open("rb") as source, pyarrow.csv.open_csv(source, read, parse, convert) as batches:
        first = 0
        for index, table in enumerate(_regrouped(batches, rows)):
            yield Chunk(index, first, table, source.tell())
            first += table.num_rows


def _regrouped(batches: Any, rows: int) -> Iterator[Any]:
    """Tables of exactly `rows` rows, the last one shorter."""
    held: list[Any] = []
    count = 0
    for batch in batches:
        held.append(batch)
        count += batch.num_rows
        if count < rows:
            continue
        table = pyarrow.Table.from_batches(held)
        whole = count - count % rows
        for first in range(0, whole, rows):
            yield table.slice(first, rows)
        held, count = table.slice(whole).to_batches(), count % rows
    if count:
        yield pyarrow.Table.from_batches(held)


def _json_lines(path: Path, names: tuple[str, ...], rows: int) -> Iterator[Chunk]:
    lines: list[tuple[int, bytes]] = []
    index = work = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            work += len(line)
            if line.strip():
                lines.append((number, line))
            if len(lines) == rows:
                yield Chunk(index, index * rows, lines, work)
                index, lines = index + 1, []
    if lines:
        yield Chunk(index, index * rows, lines, work)


def columns_of(chunk: Chunk, path: Path, names: tuple[str, ...]) -> tuple[dict[str, Any], int]:
    """(column -> values, rows) of a chunk. Raises DataError that names the line."""
    if isinstance(chunk.data, list):
        objects = [_object(path, number, line) for number, line in chunk.data]
        if chunk.index == 0:
            _check(path, names, dict.fromkeys(name for row in objects for name in row))
        return {name: [row.get(name) for row in objects] for name in names}, len(objects)
    table = chunk.data
    if isinstance(table, bytes):
        table = pyarrow.ipc.open_stream(table).read_all()
    return {name: table[name] for name in names}, table.num_rows


def _object(path: Path, number: int, line: bytes) -> Mapping[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}, line {number}: not JSON: {error}") from error
    if not isinstance(row, dict):
        raise DataError(f"{path}, line {number}: an object is needed")
    return row
