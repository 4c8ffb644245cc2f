"""Measurements of a subject beside itself: of its threads, its stages, its build without a part."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from rtcompile.bench.ablation import PARTS, ablate
from rtcompile.bench.bench_options import BenchOptions
from rtcompile.bench.graphs import Say, is_zoo
from rtcompile.bench.profile import profile_subject
from rtcompile.bench.subjects import Subject, subjects
from rtcompile.bench.tables import ablation_table, profile_tables, throughput_table, tuned_tables
from rtcompile.bench.threads import measure_threads
from rtcompile.bench.tuned import compare_tuned
from rtcompile.command.console import console, output
from rtcompile.errors import DataError
from rtcompile.files.output_file import write_atomically
from rtcompile.files.scratch_folder import scratch_folder

__all__ = ["run_mode", "write_figures"]

# (subject, row counts, folder, progress) -> figures
_Measure = Callable[[Subject, Sequence[int], Path, Say], Sequence[Any]]


def run_mode(
    what: str, models: Sequence[str], counts: Sequence[int], options: BenchOptions
) -> None:
    """Print the tables of the measurement that `options` ask for, over what `what` names."""
    measure, show = _mode(options)
    figures: list[Any] = []
    with (
        scratch_folder() as folder,
        console.status(f"{what}: starting") as status,
    ):
        for one in what.split(","):
            chosen = models if is_zoo(one) else ()
            for subject in subjects(one, chosen, folder, status.update):
                lowered = subject.lowered(options.quantize, options.calibration, folder)
                figures += measure(lowered, counts or subject.rows, folder, status.update)
    for table in show(figures):
        output.print(table)
    write_figures(options.json, [asdict(one) for one in figures])


def _mode(options: BenchOptions) -> tuple[_Measure, Callable[[Any], Sequence[Table]]]:
    if options.profile:
        return profile_subject, profile_tables
    if options.tuning_logs is not None:
        logs, target = options.tuning_logs, options.target
        return lambda s, rows, f, p: compare_tuned(s, logs, target, rows, f, p), tuned_tables
    if options.without:
        parts = PARTS if "all" in options.without else options.without
        unknown = [part for part in parts if part not in PARTS]
        if unknown:
            raise DataError(f"--without {unknown[0]}: known are {', '.join(PARTS)}, all")
        return lambda s, rows, f, p: ablate(s, parts, rows, f, p), lambda o: [ablation_table(o)]
    threads = options.threads
    return (
        lambda s, rows, f, p: measure_threads(s, threads, rows, f, p),
        lambda o: [throughput_table(o)],
    )


def write_figures(path: Path | None, figures: object) -> None:
    """As JSON, where a path is given."""
    if path is not None:
        data = json.dumps(figures, indent=1).encode()
        write_atomically(path, [data])
