"""Tuning logs: DIR/TARGET/KERNEL.jsonl, a record a line, only ever appended to.

A line is one write under a lock and is on the disk before the next trial starts: two jobs may write
at once, and one that is killed leaves whole lines. What cannot be read, or is not a record, is
skipped and named; a record of another version of the kernel or of TVM is stale: ignored and named.
"""

from __future__ import annotations

import fcntl
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

from rtcompile.errors import TuningError
from rtcompile.files.output_file import write_atomically
from rtcompile.targets import TARGETS
from rtcompile.tuning.tuned.kernels import KERNELS
from rtcompile.tuning.tuned.records import Record

__all__ = [
    "Logs",
    "append",
    "check_record",
    "log_files",
    "packaged_logs",
    "read_logs",
    "rewrite",
    "why_stale",
]

_SUFFIX = ".jsonl"


@dataclass
class Logs:
    """The records of a target that count, and what was left out: which line, and why."""

    records: list[Record] = field(default_factory=list)
    stale: list[Record] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    def notes(self) -> list[str]:
        """What was left out, a line each kind."""
        reasons = Counter(why_stale(record) for record in self.stale)
        return [f"{count} stale records: {why}" for why, count in reasons.items()] + self.skipped


def packaged_logs() -> Path:
    """The logs that come with the package."""
    return Path(str(files("rtcompile"))) / "tuning_logs"


def log_files(directory: Path) -> Iterator[tuple[str, Path]]:
    """(target, file) of every log in a folder. Raises TuningError where it cannot be read."""
    try:
        folders = sorted(path for path in directory.iterdir() if path.name in TARGETS)
        for folder in folders:
            for path in sorted(folder.glob(f"*{_SUFFIX}")):
                yield folder.name, path
    except OSError as error:
        raise TuningError(f"{directory}: cannot be read: {error.strerror or error}") from error


def read_logs(directory: Path, target: str) -> Logs:
    """The records of a target; of a folder that is not there yet, none. Raises TuningError."""
    logs = Logs()
    for name, path in log_files(directory) if directory.exists() else ():
        if name == target:
            _read(path, logs)
    return logs


def _read(path: Path, logs: Logs) -> None:
    try:
        data = path.read_bytes()
    except OSError as error:
        logs.skipped.append(f"{path}: cannot be read: {error.strerror or error}")
        return
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            record = Record.of_line(line.decode())
            check_record(record)
        except ValueError as error:
            logs.skipped.append(f"{path}, line {number}: {error}")
            continue
        (logs.stale if why_stale(record) else logs.records).append(record)


def check_record(record: Record) -> None:
    """Raise ValueError for a record of no kernel that there is."""
    task = record.trial.task
    if task.kernel not in KERNELS:
        raise ValueError(f"kernel {task.kernel!r} is not known")
    kernel = KERNELS[task.kernel]
    found = {name: type(value) for name, value in task.values.items()}
    if task.version == kernel.version and found != dict(kernel.parameters):
        raise ValueError(f"its parameters are not those of {task.kernel!r}")


def why_stale(record: Record) -> str:
    """Why a record does not count today, or ""."""
    task, tvm = record.trial.task, _tvm_version()
    if task.version != KERNELS[task.kernel].version:
        current = KERNELS[task.kernel].version
        return f"{task.kernel} is at version {current}, they are of {task.version}"
    if record.provenance.tvm != tvm:
        return f"TVM is at {tvm}, they are of {record.provenance.tvm}"
    return ""


@cache
def _tvm_version() -> str:
    """Of the one that is installed: to read it takes longer than a record."""
    return version("apache-tvm")


def append(directory: Path, target: str, record: Record) -> None:
    """Add a record to the log of its target and kernel. Raises TuningError."""
    path = directory / target / f"{record.trial.task.kernel}{_SUFFIX}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(path) as handle:
            # What a full disk cut off must not run into this record.
            end = os.lseek(handle, 0, os.SEEK_END)
            whole = end == 0 or os.pread(handle, 1, end - 1) == b"\n"
            text = f"{'' if whole else chr(10)}{record.to_line()}\n".encode()
            if os.write(handle, text) != len(text):
                raise OSError(0, "the disk is full")
            os.fsync(handle)
    except OSError as error:
        raise TuningError(f"{path}: cannot be written: {error.strerror or error}") from error


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """The file, opened and locked. One that was replaced meanwhile is opened again."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if _still(path, handle):
                yield handle
                return
        finally:
            os.close(handle)


def _still(path: Path, handle: int) -> bool:
    try:
        return path.stat().st_ino == os.fstat(handle).st_ino
    except FileNotFoundError:
        return False


def rewrite(path: Path, keep: Callable[[list[bytes]], Iterable[bytes]]) -> None:
    """Replace a log's lines by what `keep` makes of them; appenders wait. Raises TuningError."""
    try:
        with _locked(path) as handle:
            size = os.fstat(handle).st_size
            lines = [line for line in os.pread(handle, size, 0).split(b"\n") if line.strip()]
            data = b"".join(line + b"\n" for line in keep(lines))
            write_atomically(path, [data])
    except OSError as error:
        raise TuningError(f"{path}: cannot be written: {error.strerror or error}") from error
