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
from typing import Any, BinaryIO

from rtcompile.command.counts_summary import Counters
from rtcompile.errors import OutputError
from rtcompile.files.output_file import write_atomically
from rtcompile.offline.feature_writers import TableWriter, table_bytes, tables_of

__all__ = ["Parts"]


class Parts:
    """The parts of one output, a file. `form`: of `feature_writers.FORMATS`; `identity`: text that
    is equal where parts may be used again."""

    def __init__(self, output: Path, form: str, identity: str) -> None:
        self._output, self._form, self._identity = output, form, identity
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
        write_atomically(marker, [data])

    def path(self, index: int) -> Path:
        """Where part `index` is, or is to be."""
        return self.folder / f"{index:06d}"

    def write(self, index: int, table: Any) -> None:
        """Part `index`. Raises OutputError."""
        data = table_bytes(self._form, table)
        write_atomically(self.path(index), [data])

    def write_counters(self, index: int, counters: Counters) -> None:
        """Before part `index` is written. Raises OutputError."""
        data = json.dumps(counters).encode()
        write_atomically(self._counters_path(index), [data])

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
            with temporary.open("wb") as whole:
                self._join(whole, paths)
            temporary.replace(self._output.resolve())  # a link stays
            shutil.rmtree(self.folder)
        except OSError as error:
            raise OutputError(
                f"{self._output}: cannot be written: {error.strerror or error}"
            ) from error

    def _join(self, whole: BinaryIO, paths: Iterable[Path]) -> None:
        """The parts one after another, one in memory at a time."""
        if self._form == "jsonl":
            for path in paths:
                with path.open("rb") as part:
                    shutil.copyfileobj(part, whole)
            return
        writer, read = TableWriter(self._form, whole), tables_of(self._form)
        for path in paths:
            writer.write(read(path))
        writer.close()
