"""`rtcompile extract`: the features of every row of a file, on all cores.

    parent    reads chunks, hands them out, a few ahead of the workers
    worker    chunk -> kernels -> a part of the output
    parent    puts the parts together

A part is the features of one chunk. Parts that are there already, of a run that was interrupted,
are not made again.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, Protocol

import runtime
from rtcompile.counts_summary import Counters, added, since
from rtcompile.errors import DataError, RtcompileError
from rtcompile.features.extractor import FeatureExtractor, compile_features
from rtcompile.offline.arrow_columns import to_table
from rtcompile.offline.chunks import Chunk, columns_of, read_chunks, total_work
from rtcompile.offline.parts import Parts, write_part
from runtime.arrow_values import table_column
from runtime.columns import Column

__all__ = ["CHUNK_ROWS", "extract_file", "processors"]

CHUNK_ROWS = 16_384
_AHEAD = 2  # chunks a worker that wait for it

Progress = Callable[[int, int], None]


class _Source(Protocol):
    """What extracts: from a config, or an artifact. It travels to the workers."""

    names: tuple[str, ...]
    identity: str

    def extract(self, columns: Mapping[str, Any], rows: int) -> Mapping[str, Column]:
        """The features of `rows` rows."""

    def counters(self) -> Counters:
        """What became of values, of all calls in this process."""


def processors() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0))


def extract_file(
    config: Path,
    source: Path,
    output: Path,
    *,
    workers: int | None = None,
    strict: bool = False,
    progress: Progress = lambda done, total: None,
    report: Callable[[Counters], None] = lambda counters: None,
    chunk_rows: int = CHUNK_ROWS,
) -> int:
    """Extract the features of every row of `source`; returns how many rows there were.

    `config` is a feature config or an artifact, `source` a .jsonl, .csv or .parquet file whose
    columns are the raw fields. `output`, .parquet or .jsonl, appears once it is whole; the parts
    made so far lie beside it, and the same call goes on with them. `workers`: processes, by default
    one a core. `strict`: a value that cannot be read is an error. `progress(done, total)` is called
    as the file is worked through, `report(counters)` at its end: what became of values, by feature.

    Raises DataError, ConfigError, OutputError, or an error of the runtime.
    """
    total = total_work(source)
    extracts = _source(config, strict)
    parts = Parts(output, _identity(extracts, source, chunk_rows, strict))
    parts.open()
    chunks = read_chunks(source, extracts.names, chunk_rows)
    job = _Job(extracts, source, output.suffix, parts)
    count = workers or processors()
    rows = made = furthest = 0
    run = _alone if count == 1 or total <= chunk_rows else _pooled
    for chunk_rows_made, work in run(job, chunks, count):
        rows += chunk_rows_made
        made += 1
        furthest = max(furthest, min(work, total))
        progress(furthest, total)
    if not made:
        write_part(parts.path(0), output.suffix, to_table(job.extract_nothing()))
        made = 1
    report(added(parts.counters(made)))
    parts.finish(made)
    return rows


def _identity(extracts: _Source, source: Path, chunk_rows: int, strict: bool) -> str:
    stat = source.stat()
    file = [str(source.resolve()), stat.st_size, stat.st_mtime_ns]
    return json.dumps([extracts.identity, *file, chunk_rows, strict])


# -- what extracts --------------------------------------------------------------------------


class _Compiled:
    def __init__(self, extractor: FeatureExtractor) -> None:
        self._extractor = extractor
        self.names = extractor.columns
        self.identity = extractor.digest()

    def extract(self, columns: Mapping[str, Any], rows: int) -> Mapping[str, Column]:
        return self._extractor(columns)

    def counters(self) -> Counters:
        return self._extractor.counters()


class _Loaded:
    """An artifact, loaded anew in each worker."""

    def __init__(self, path: Path, strict: bool) -> None:
        self._path, self._strict = path, strict
        self._ranker: runtime.Ranker | None = runtime.load(path, strict=strict)
        manifest = self._ranker.manifest
        if manifest["kind"] != "ranking":
            raise DataError(f"{path}: built without features; there is nothing to extract")
        every = [name for side in manifest["fields"].values() for name in side]
        self.names = tuple(dict.fromkeys(every))
        sections = json.dumps(manifest["sections"], sort_keys=True)
        self.identity = hashlib.sha256(sections.encode()).hexdigest()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_ranker": None}

    def extract(self, columns: Mapping[str, Any], rows: int) -> Mapping[str, Column]:
        self._ranker = self._ranker or runtime.load(self._path, strict=self._strict)
        values = {name: _values(name, column) for name, column in columns.items()}
        return self._ranker.extract_rows(values, rows)

    def counters(self) -> Counters:
        return self._ranker.counters() if self._ranker else {}


def _values(name: str, column: Any) -> Sequence[Any]:
    """A column's values. Raises DataError."""
    try:
        return table_column(column)
    except (TypeError, ValueError) as error:
        raise DataError(f"column {name!r}: {error}") from error


def _source(config: Path, strict: bool) -> _Source:
    try:
        with config.open("rb") as file:
            is_artifact = file.read(len(runtime.artifact.MAGIC)) == runtime.artifact.MAGIC
    except OSError as error:
        raise DataError(f"{config}: cannot be read: {error.strerror or error}") from error
    if is_artifact:
        return _Loaded(config, strict)
    return _Compiled(compile_features(config, strict=strict))


# -- work -----------------------------------------------------------------------------------


class _Job:
    """All that a chunk is worked with; it travels to the workers once."""

    def __init__(self, extracts: _Source, source: Path, suffix: str, parts: Parts) -> None:
        self._extracts, self._source, self._suffix = extracts, source, suffix
        self.parts = parts

    def make(self, chunk: Chunk) -> tuple[int, int]:
        """Write the part of a chunk; (rows, how far the file is read)."""
        path = self.parts.path(chunk.index)
        if path.exists():
            return len(chunk.data), chunk.work
        columns, rows = columns_of(chunk, self._source, self._extracts.names)
        before = self._extracts.counters()
        try:
            found = self._extracts.extract(columns, rows)
        except (DataError, runtime.RequestError) as error:
            last = chunk.first + rows
            where = f"{self._source}, rows {chunk.first + 1} to {last}"
            raise type(error)(f"{where}: {error}") from error
        self.parts.write_counters(chunk.index, since(before, self._extracts.counters()))
        write_part(path, self._suffix, to_table(found))
        return rows, chunk.work

    def extract_nothing(self) -> Mapping[str, Column]:
        """The features of no rows."""
        return self._extracts.extract({name: [] for name in self._extracts.names}, 0)


def _alone(job: _Job, chunks: Iterator[Chunk], workers: int) -> Iterator[tuple[int, int]]:
    return map(job.make, chunks)


_JOB: list[_Job] = []


def _start(job: _Job) -> None:
    _JOB.append(job)


def _make(chunk: Chunk) -> tuple[int, int]:
    return _JOB[0].make(chunk)


def _pooled(job: _Job, chunks: Iterator[Chunk], workers: int) -> Iterator[tuple[int, int]]:
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, _start, (job,))
    running: set[Future[tuple[int, int]]] = set()
    try:
        for chunk in chunks:
            if job.parts.path(chunk.index).exists():
                yield len(chunk.data), chunk.work
                continue
            running.add(pool.submit(_make, chunk.packed()))
            if len(running) >= _AHEAD * workers:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                yield from _results(done)
        yield from _results(running)
    except BrokenProcessPool as error:
        raise RtcompileError(
            "a worker process died; run the same command again to go on, or with --workers 1"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _results(futures: Sequence[Future[Any]] | set[Future[Any]]) -> Iterator[tuple[int, int]]:
    for future in futures:
        yield future.result()
