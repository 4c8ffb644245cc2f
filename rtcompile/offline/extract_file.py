"""`rtcompile extract`: the features of every row of a file or a stream, on all cores.

    parent    reads chunks, hands them out, a few ahead of the workers
    worker    chunk -> kernels -> features
    parent    puts them together, or to a stream, writes them in their order

Of an output that is a file, a worker writes the features of a chunk as a part. Parts that are there
already, of a run that was interrupted, are not made again.
"""

from __future__ import annotations

import json
import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any

from rtcompile.command.counts_summary import Counters, added, since
from rtcompile.errors import RtcompileError
from rtcompile.files.output_file import is_stream, open_output
from rtcompile.offline.arrow_columns import to_table
from rtcompile.offline.chunks import Chunk, columns_of, input_format, read_chunks, total_work
from rtcompile.offline.feature_source import FeatureSource, extract_named, feature_source
from rtcompile.offline.feature_writers import TableWriter, output_format
from rtcompile.offline.parts import Parts
from rtcompile.runtime.columns import Column

__all__ = ["CHUNK_ROWS", "extract_file", "processors"]

CHUNK_ROWS = 16_384
_AHEAD = 2  # chunks a worker that wait for it

Progress = Callable[[int, int], None]


def processors() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0))


def extract_file(
    config: Path,
    source: Path,
    output: Path,
    *,
    input_form: str | None = None,
    output_form: str | None = None,
    workers: int | None = None,
    strict: bool = False,
    progress: Progress = lambda done, total: None,
    report: Callable[[Counters], None] = lambda counters: None,
    chunk_rows: int = CHUNK_ROWS,
) -> int:
    """Extract the features of every row of `source`; returns how many rows there were.

    `config` is a feature config or an artifact, `source` Parquet, CSV or JSON lines whose columns
    are the raw fields. An `output` that is a file appears once it is whole; the parts made so far
    lie beside it, and the same call goes on with them. `-` is standard input and output; to a
    stream features go chunk by chunk. `input_form`, `output_form`: the formats, by default those of
    the suffixes. `workers`: processes, by default one a core. `strict`: a value that cannot be read
    is an error. `progress(done, total)` is called as the file is worked through, `report(counters)`
    at its end: what became of values, by feature.

    Raises DataError, ConfigError, OutputError, or an error of the runtime.
    """
    streams = is_stream(output)
    form = output_format(output, output_form, streams)
    read = input_format(source, input_form)
    total = total_work(source, read)
    extracts = feature_source(config, strict)
    parts = None
    if not streams:
        parts = Parts(output, form, _identity(extracts, source, chunk_rows, strict))
        parts.open()
    job = _Job(extracts, source, parts)
    chunks = read_chunks(source, read, extracts.names, chunk_rows)
    with closing(_run(job, chunks, workers or processors())) as made:  # the workers end with it
        done = _with_progress(made, total, progress)
        if parts is None:
            return _to_stream(job, done, output, form, report)
        return _to_file(job, done, parts, report)


def _identity(extracts: FeatureSource, source: Path, chunk_rows: int, strict: bool) -> str:
    if is_stream(source):  # what comes next is never what came before
        return os.urandom(16).hex()
    stat = source.stat()
    file = [str(source.resolve()), stat.st_size, stat.st_mtime_ns]
    return json.dumps([extracts.identity, *file, chunk_rows, strict])


# -- a chunk --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Made:
    """What became of a chunk. `work`: how far the file is read. The rest is of no part: that has
    both."""

    rows: int
    work: int
    table: Any = None
    counters: Counters = field(default_factory=dict)


class _Job:
    """All that a chunk is worked with; it travels to the workers once."""

    def __init__(self, extracts: FeatureSource, source: Path, parts: Parts | None) -> None:
        self._extracts, self._source, self._parts = extracts, source, parts

    def found(self, chunk: Chunk) -> _Made | None:
        """Of a chunk whose part is there."""
        if self._parts is None or not self._parts.path(chunk.index).exists():
            return None
        return _Made(len(chunk.data), chunk.work)

    def make(self, chunk: Chunk) -> _Made:
        """The features of a chunk, or where parts are wanted, its part."""
        columns, rows = columns_of(chunk, self._source, self._extracts.names)
        before = self._extracts.counters()
        found = extract_named(self._extracts, columns, rows, str(self._source), chunk.place)
        counters, table = since(before, self._extracts.counters()), to_table(found)
        if self._parts is None:
            return _Made(rows, chunk.work, table, counters)
        self._parts.write_counters(chunk.index, counters)
        self._parts.write(chunk.index, table)
        return _Made(rows, chunk.work)

    def nothing(self) -> Any:
        """The features of no rows."""
        none: Mapping[str, Column] = self._extracts.extract(
            {name: [] for name in self._extracts.names}, 0
        )
        return to_table(none)


# -- all of them ----------------------------------------------------------------------------


def _run(job: _Job, chunks: Iterator[Chunk], workers: int) -> Generator[_Made, None, None]:
    """What becomes of chunks, in their order."""
    if workers > 1:
        first = list(islice(chunks, 2))
        chunks = chain(first, chunks)
        if len(first) > 1:
            return _pooled(job, chunks, workers)
    return (job.found(chunk) or job.make(chunk) for chunk in chunks)


_JOB: list[_Job] = []


def _start(job: _Job) -> None:
    _JOB.append(job)


def _make(chunk: Chunk) -> _Made:
    return _JOB[0].make(chunk)


def _pooled(job: _Job, chunks: Iterator[Chunk], workers: int) -> Generator[_Made, None, None]:
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, _start, (job,))
    running: deque[Future[_Made]] = deque()
    try:
        for chunk in chunks:
            made = job.found(chunk)
            running.append(_ready(made) if made else pool.submit(_make, chunk.packed()))
            if len(running) >= _AHEAD * workers:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
    except BrokenProcessPool as error:
        raise RtcompileError(
            "a worker process died; run the same command again to go on, or with --workers 1"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _ready(made: _Made) -> Future[_Made]:
    found: Future[_Made] = Future()
    found.set_result(made)
    return found


def _with_progress(done: Iterator[_Made], total: int, progress: Progress) -> Iterator[_Made]:
    for made in done:
        yield made
        if total:
            progress(min(made.work, total), total)
    if total:  # blank lines at the end belong to no chunk
        progress(total, total)


def _to_file(
    job: _Job, done: Iterator[_Made], parts: Parts, report: Callable[[Counters], None]
) -> int:
    rows = [made.rows for made in done]
    if not rows:
        parts.write(0, job.nothing())
    count = max(len(rows), 1)
    report(added(parts.counters(count)))
    parts.finish(count)
    return sum(rows)


def _to_stream(
    job: _Job, done: Iterator[_Made], output: Path, form: str, report: Callable[[Counters], None]
) -> int:
    rows, counters = 0, dict[str, dict[str, int]]()
    with open_output(output) as out:
        writer = TableWriter(form, out)
        for made in done:
            writer.write(made.table)
            out.flush()
            rows, counters = rows + made.rows, added([counters, made.counters])
        if not rows:
            writer.write(job.nothing())
        writer.close()
    report(counters)
    return rows
