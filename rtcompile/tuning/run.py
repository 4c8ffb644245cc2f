"""A tuning run from beginning to end, with what is shown of it."""

from __future__ import annotations

import os
from pathlib import Path

from rtcompile.command.console import console
from rtcompile.tuning.interrupts import Interrupts
from rtcompile.tuning.report.collect import Collector
from rtcompile.tuning.report.finish import finish
from rtcompile.tuning.show import Progress
from rtcompile.tuning.tune import Session, TuneOptions, session

__all__ = ["run"]


def run(model: Path, options: TuneOptions, report: Path | None, whole_model: bool) -> None:
    """Tune the model's kernels, then its tiles; write the report. Raises what `session` raises."""
    load = 0.0 if options.tracker else os.getloadavg()[0]  # before this run has a share in it
    status = console.status("find the model's kernels")
    with Interrupts() as interrupts, status, session(model, options) as ready:
        status.stop()
        for note in ready.logs.notes():
            console.print(note, markup=False, highlight=False, soft_wrap=True)
        records = ready.logs.records
        cores = os.cpu_count() or 1
        collector = Collector(ready.tasks, ready.target, ready.machine, records, load, cores)
        with Progress(ready.search) as progress:
            for record in ready.search.run(ready.runner, ready.cost_model):
                collector.add(record)
                progress.update(record)
                interrupts.check()
        _tune_tiles(ready, interrupts)
    with console.status("report") as status:
        finish(collector, model, options, report, whole_model, status.update)


def _tune_tiles(ready: Session, interrupts: Interrupts) -> None:
    spent = 0
    with console.status("tiles") as status:
        for _ in ready.tiles.run(ready.runner, status.update):
            spent += 1
            interrupts.check()
    for line in ready.tiles.summary(spent):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
