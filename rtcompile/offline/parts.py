"""An output that grows part by part, survives interruption, and appears as a whole.

features.parquet.parts/
    identity        what the parts were made of; other parts are thrown away
    000000, 000001  the parts, each written whole or not at all
    counts-000000   what became of the values that a part was made of
features.parquet    the parts one after another, once all are there
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow.parquet

from rtcompile.counts_summary import Counters
from rtcompile.errors import DataError, OutputError
from rtcompile.output_file import is_stream, write_atomically

__all__ = ["SUFFIXES", "Parts", "write_part"]

SUFFIXES = (".parquet", ".jsonl")


def write_part(path: Path, suffix: str, table: Any) -> None:
    """Write one part. Raises OutputError."""
    if suffix == ".parquet":
        sink = pyarrow.BufferOutputStream()
        pyarrow.parquet.write_table(table, sink, compression="zstd")
        data = sink.getvalue().to_pybytes()
    else:
        data = "".join(f"{json.dumps(row)}\n" for row in table.to_pylist()).encode()
    write_atomically(path, [(0, data)], len(data))


class Parts:
    """The parts of one output. `identity`: text that is equal where parts may be used again."""

    def __init__(self, output: Path, identity: str) -> None:
        if output.suffix not in SUFFIXES:
            raise DataError(f"{output}: features are written as {' or '.join(SUFFIXES)}")
        if is_stream(output):
            raise DataError(
                f"{output}: a pipe or a device; features are put together from parts: give a file"
            )
        self._output, self._identity = output, identity
        self.folder = output.with_name(f"{output.name}.parts")

    def open(self) -> None:
        """Make the folder, or keep what is in it of the same work. Raises OutputError."""
        marker = self.folder / "identity"
        try:
            if marker.exists() and marker.read_text() == self._identity:
                return
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir(parents=False)
            data = self._identity.encode()
        except OSError as error:
            raise OutputError(
                f"{self.folder}: cannot be written: {error.strerror or error}"
            ) from error
        write_atomically(marker, [(0, data)], len(data))

    def path(self, index: int) -> Path:
        """Where part `index` is, or is to be."""
        return self.folder / f"{index:06d}"

    def write_counters(self, index: int, counters: Counters) -> None:
        """Before part `index` is written. Raises OutputError."""
        data = json.dumps(counters).encode()
        write_atomically(self._counters_path(index), [(0, data)], len(data))

    def counters(self, count: int) -> list[Counters]:
        """Of `count` parts; the one part of no rows has none."""
        paths = [self._counters_path(index) for index in range(count)]
        return [json.loads(path.read_text()) for path in paths if path.exists()]

    def _counters_path(self, index: int) -> Path:
        return self.folder / f"counts-{index:06d}"

    def finish(self, count: int) -> None:
        """Put `count` parts together and remove them. Raises OutputError."""
        temporary = self.folder / "whole"
        paths = [self.path(index) for index in range(count)]
        try:
            if self._output.suffix == ".parquet":
                _join_parquet(temporary, paths)
            else:
                with temporary.open("wb") as whole:
                    for path in paths:
                        with path.open("rb") as part:
                            shutil.copyfileobj(part, whole)
            temporary.replace(self._output.resolve())  # a link stays
            shutil.rmtree(self.folder)
        except OSError as error:
            raise OutputError(
                f"{self._output}: cannot be written: {error.strerror or error}"
            ) from error


def _join_parquet(whole: Path, paths: Iterable[Path]) -> None:
    """The parts' row groups, one part in memory at a time."""
    writer = None
    try:
        for path in paths:
            table = pyarrow.parquet.read_table(path)
            if writer is None:
                writer = pyarrow.parquet.ParquetWriter(whole, table.schema, compression="zstd")
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()
