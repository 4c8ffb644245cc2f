"""Tables of features as bytes, from the beginning to the end, so that a pipe may take them.

parquet    a row group a table
jsonl      a line a row
arrow      a stream of Arrow's IPC format, a batch a table
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pyarrow.ipc
import pyarrow.parquet

from rtcompile.errors import DataError

__all__ = ["FORMATS", "TableWriter", "output_format", "table_bytes", "tables_of"]

FORMATS = ("parquet", "jsonl", "arrow")
_SUFFIXES = {".parquet": "parquet", ".jsonl": "jsonl", ".arrows": "arrow"}


class _Writes(Protocol):
    def write(self, data: bytes) -> Any:
        """Append the bytes."""


class _Sink(io.RawIOBase):
    """What Arrow writes to: of a pipe too it wants to know how far it is."""

    def __init__(self, output: _Writes) -> None:
        super().__init__()
        self._output, self._at = output, 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        given = bytes(data)
        self._output.write(given)
        self._at += len(given)
        return len(given)

    def tell(self) -> int:
        return self._at


class TableWriter:
    """Writes tables of one schema to an output, of which it asks `write` alone."""

    def __init__(self, form: str, output: _Writes) -> None:
        self._form, self._output = form, output
        self._writer: Any = None

    def write(self, table: Any) -> None:
        """The next rows."""
        if self._form == "jsonl":
            lines = "".join(f"{json.dumps(row)}\n" for row in table.to_pylist())
            self._output.write(lines.encode())
            return
        if self._writer is None:
            self._writer = self._open(table.schema)
        self._writer.write_table(table)

    def _open(self, schema: Any) -> Any:
        sink = _Sink(self._output)
        if self._form == "arrow":
            return pyarrow.ipc.new_stream(sink, schema)
        return pyarrow.parquet.ParquetWriter(sink, schema, compression="zstd")

    def close(self) -> None:
        """What a reader needs behind the last rows; of JSON lines nothing."""
        if self._writer is not None:
            self._writer.close()


def output_format(output: Path, given: str | None, is_stream: bool) -> str:
    """Which of FORMATS: the one that is named, else that of the suffix, of a stream JSON lines.

    Raises DataError.
    """
    found = given or _SUFFIXES.get(output.suffix) or ("jsonl" if is_stream else None)
    if found is None:
        raise DataError(
            f"{output}: features are written as {', '.join(_SUFFIXES)}; give such a name, or a "
            f"format, one of {', '.join(FORMATS)}"
        )
    return found


def table_bytes(form: str, table: Any) -> bytes:
    """One table as a whole file."""
    whole = io.BytesIO()
    writer = TableWriter(form, whole)
    writer.write(table)
    writer.close()
    return whole.getvalue()


def tables_of(form: str) -> Callable[[Path], Any]:
    """What reads a whole file of that format, which is not JSON lines."""
    return pyarrow.parquet.read_table if form == "parquet" else _read_stream


def _read_stream(path: Path) -> Any:
    with path.open("rb") as file, pyarrow.ipc.open_stream(file) as reader:
        return reader.read_all()
