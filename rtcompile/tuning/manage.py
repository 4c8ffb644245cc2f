"""Merge and prune tuning logs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rtcompile.errors import TuningError
from rtcompile.targets import TARGETS
from rtcompile.tuning.tuned.known_configs import Known
from rtcompile.tuning.tuned.logs import (
    append,
    check_record,
    log_files,
    read_logs,
    rewrite,
    why_stale,
)
from rtcompile.tuning.tuned.records import Record

__all__ = ["Pruned", "merge", "prune"]


@dataclass
class Pruned:
    """Lines that were kept, and that went."""

    kept: int = 0
    removed: int = 0


def merge(directory: Path, others: Sequence[Path]) -> tuple[int, list[str]]:
    """Add what other folders hold and this one does not: how many records, what was skipped.

    Raises TuningError.
    """
    added, notes = 0, []
    for other in others:
        if not other.is_dir():
            raise TuningError(f"{other}: no such folder of tuning logs")
        for target in dict.fromkeys(name for name, _ in log_files(other)):
            mine, theirs = read_logs(directory, target), read_logs(other, target)
            have = {record.to_line() for record in [*mine.records, *mine.stale]}
            for record in [*theirs.records, *theirs.stale]:
                line = record.to_line()
                if line not in have:
                    append(directory, target, record)
                    have.add(line)
                    added += 1
            notes += theirs.skipped
    return added, notes


def prune(directory: Path, best_only: bool = False) -> Pruned:
    """Remove stale records, lines that are none, and what stands twice. Raises TuningError.

    `best_only`: of each task keep its default and its best config only. Tuning it again would then
    spend trials again.
    """
    done = Pruned()
    for target, path in log_files(directory):

        def keep(lines: list[bytes], target: str = target) -> Iterable[bytes]:
            records = list(dict.fromkeys(filter(None, map(_usable, lines))))
            if best_only:
                records = _best(records, target)
            done.kept += len(records)
            done.removed += len(lines) - len(records)
            return [record.to_line().encode() for record in records]

        rewrite(path, keep)
    return done


def _usable(line: bytes) -> Record | None:
    try:
        record = Record.of_line(line.decode())
        check_record(record)
    except ValueError:
        return None
    return None if why_stale(record) else record


def _best(records: list[Record], target: str) -> list[Record]:
    known = Known(records, TARGETS[target].registers)
    wanted = {trial for task in known.all_tasks() for trial in known.essential(task)}
    return [record for record in records if record.trial in wanted]
