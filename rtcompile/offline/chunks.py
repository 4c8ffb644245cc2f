"""Read a file of rows chunk by chunk: Parquet, CSV, JSON-lines; the last two from a pipe as well.

Nothing is guessed about types: a CSV field is text, and an empty one no value; a JSON value and a
Parquet column are what they are. Memory holds one chunk, whatever the file's size.
"""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet

from rtcompile.errors import DataError
from rtcompile.files.input_lines import numbered_lines, parse_object
from rtcompile.files.output_file import STANDARD, is_stream

__all__ = ["FORMATS", "Chunk", "columns_of", "input_format", "read_chunks", "total_work"]

FORMATS = ("parquet", "csv", "jsonl")

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

    def place(self, row: int) -> str:
        """How messages name one of its rows, as a person finds it."""
        if isinstance(self.data, list):
            return f"line {self.data[row][0]}"
        return f"row {self.first + row + 1}"

    def packed(self) -> Chunk:
        """The same with the rows of a table alone: a slice would bring all it was cut from."""
        if isinstance(self.data, list):
            return self
        sink = pyarrow.BufferOutputStream()
        with pyarrow.ipc.new_stream(sink, self.data.schema) as writer:
            writer.write_table(self.data)
        return replace(self, data=sink.getvalue().to_pybytes())


def input_format(path: Path, given: str | None) -> str:
    """Which of FORMATS: the one that is named, else that of the suffix, of a stream JSON lines.

    Raises DataError.
    """
    suffix = path.suffix.removeprefix(".")
    found = given or (suffix if suffix in FORMATS else "jsonl" if is_stream(path) else None)
    if found is None:
        known = ", ".join(f".{form}" for form in FORMATS)
        raise DataError(f"{path}: rows come as {known}; give such a name, or a format")
    if found == "parquet" and is_stream(path):
        raise DataError(
            f"{path}: a pipe or a device; Parquet is read from its end: give a file, or CSV or "
            "JSON lines"
        )
    return found


def total_work(path: Path, form: str) -> int:
    """Rows of a Parquet file, bytes of any other, 0 of a stream. Raises DataError."""
    try:
        if form == "parquet":
            return int(pyarrow.parquet.ParquetFile(path).metadata.num_rows)
        return 0 if is_stream(path) else path.stat().st_size
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    except pyarrow.ArrowInvalid as error:
        raise DataError(f"{path}: not Parquet: {error}") from error


def read_chunks(path: Path, form: str, names: tuple[str, ...], rows: int) -> Iterator[Chunk]:
    """Chunks of `rows` rows, the last one shorter. `form`: of FORMATS; `names`: the columns that
    are needed. `-` is standard input.

    Raises DataError.
    """
    readers = {"parquet": _parquet, "csv": _csv, "jsonl": _json_lines}
    try:
        yield from readers[form](path, names, rows)
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
    opened: AbstractContextManager[BinaryIO] = (
        nullcontext(sys.stdin.buffer) if path == STANDARD else path.open("rb")
    )
    with opened as file:
        source = _Peeked(file)
        given = _header(path, source.head)
        _check(path, names, given)
        parse = pyarrow.csv.ParseOptions(newlines_in_values=True)
        read = pyarrow.csv.ReadOptions(block_size=_BLOCK_BYTES, use_threads=False)
        convert = pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(given, pyarrow.binary()),
            include_columns=list(names),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
            check_utf8=False,
        )
        with pyarrow.csv.open_csv(source, read, parse, convert) as batches:
            first = 0
            for index, table in enumerate(_regrouped(batches, rows)):
                yield Chunk(index, first, table, source.taken)
                first += table.num_rows


def _header(path: Path, head: bytes) -> list[str]:
    """The names of the columns. Raises DataError."""
    try:
        text = io.TextIOWrapper(io.BytesIO(head), "utf-8-sig", newline="")
        found = next(filter(None, csv.reader(text)), None)
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: no line of column names: {error}") from error
    if found is None:
        raise DataError(f"{path}: empty; a line of column names is needed")
    return found


class _Peeked(io.RawIOBase):
    """A file whose first block was looked at. `taken`: bytes that were read of it."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file = file
        self.head = self._left = file.read(_BLOCK_BYTES)
        self.taken = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """As many bytes, fewer at the end."""
        most = len(self._left) if size < 0 else size
        found, self._left = self._left[:most], self._left[most:]
        if size < 0 or len(found) < size:
            found += self._file.read(-1 if size < 0 else size - len(found))
        self.taken += len(found)
        return found


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
    for number, line in numbered_lines(path):
        work += len(line)
        lines.append((number, line))
        if len(lines) == rows:
            yield Chunk(index, index * rows, lines, work)
            index, lines = index + 1, []
    if lines:
        yield Chunk(index, index * rows, lines, work)


def columns_of(chunk: Chunk, path: Path, names: tuple[str, ...]) -> tuple[dict[str, Any], int]:
    """(column -> values, rows) of a chunk. Raises DataError that names the line."""
    if isinstance(chunk.data, list):
        objects = [parse_object(f"{path}, line {number}", line) for number, line in chunk.data]
        if chunk.index == 0:
            _check(path, names, dict.fromkeys(name for row in objects for name in row))
        return {name: [row.get(name) for row in objects] for name in names}, len(objects)
    table = chunk.data
    if isinstance(table, bytes):
        table = pyarrow.ipc.open_stream(table).read_all()
    return {name: table[name] for name in names}, table.num_rows
