"""The end of a tuning run: the whole model is measured, the report written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rtcompile.command.console import console
from rtcompile.errors import OutputError, RtcompileError
from rtcompile.files.output_file import write_atomically
from rtcompile.targets import runs_here
from rtcompile.tuning.report.collect import Collector
from rtcompile.tuning.report.comparison import said
from rtcompile.tuning.report.history import EndToEnd, History
from rtcompile.tuning.report.page import render
from rtcompile.tuning.report.whole_model import measure_whole_model
from rtcompile.tuning.tune import TuneOptions

__all__ = ["finish"]


def finish(
    collector: Collector,
    model: Path,
    options: TuneOptions,
    path: Path | None,
    whole_model: bool,
    progress: Callable[[str], None],
) -> None:
    """Write the report of a run, by default beside its logs. Raises OutputError.

    `whole_model`: measure it, where the trials ran on this machine. A build that fails costs the
    report that comparison only.
    """
    where = "this machine"
    if options.tracker is not None:
        where = f"workers of {options.tracker}, key {options.key}"
    compared: list[EndToEnd] = []
    if whole_model and options.tracker is None and runs_here(collector.target):
        try:
            compared = measure_whole_model(model, options.build_options(), progress)
        except RtcompileError as error:
            console.print(f"the whole model is not measured: {error}", markup=False)
    name = f"{model.stem}.{collector.target.name}.html"
    path = options.tuning_logs / name if path is None else path
    history = collector.history(model, where, compared)
    write_report(path, history)
    for line in _summary(history):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    console.print(f"report: {path}", markup=False, highlight=False, soft_wrap=True)


def _summary(history: History) -> list[str]:
    """How soon the gain was there, and what it is for whole requests."""
    reached, spent = history.reaching(0.95), len(history.new)
    found = [
        f"95 % of the gain after {reached} of {len(history.measured)} trials, "
        f"{history.moment(0.95):.0f} of {history.seconds:.0f} s ({spent} trials in this run)"
    ]
    found += [history.note] if history.note else []
    return found + [
        f"request of {pair.label}: {pair.default * 1e6:.1f} µs with default configs, "
        f"{pair.tuned * 1e6:.1f} tuned: {said(pair.default / pair.tuned, pair.noise)}"
        for pair in history.end_to_end
    ]


def write_report(path: Path, history: History) -> None:
    """Write the page, whole or not at all. Raises OutputError."""
    data = render(history).encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
    write_atomically(path, [data])
