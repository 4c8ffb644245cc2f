"""What `tune` and `logs` print: tasks with their best configs, trials, time left."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType

from rich.live import Live
from rich.table import Table

from rtcompile.codegen.program.trials import Task
from rtcompile.command.console import console, output
from rtcompile.targets import TARGETS
from rtcompile.tuning.report.comparison import said
from rtcompile.tuning.search import Search, TaskState
from rtcompile.tuning.tuned.known_configs import Known
from rtcompile.tuning.tuned.logs import log_files, read_logs
from rtcompile.tuning.tuned.records import Record

__all__ = ["Progress", "show_logs", "task_name"]

_MOST_TASKS = 15
_LINES = 20  # of progress in all, where there is no terminal


def task_name(task: Task) -> str:
    """A task in a few words."""
    values = task.values
    extents = [str(values[name]) for name in _EXTENTS if name in values]
    rows = f"{values['most']} rows" if "most" in values else ""
    steps = [step.split()[0] for step in str(values.get("epilogue", "")).split(";") if step.strip()]
    return " ".join([task.kernel, "x".join(extents), *dict.fromkeys(steps), rows]).strip()


_EXTENTS = ("left", "right", "rows", "depth", "columns")


def _config(config: Mapping[str, int]) -> str:
    return " ".join(f"{name} {value}" for name, value in config.items())


class Progress:
    """Shows a search while it runs: a table on a terminal, else a line now and then."""

    def __init__(self, search: Search) -> None:
        self._search, self._begin, self._before = search, time.monotonic(), search.spent
        self._failed: Counter[str] = Counter()
        self._live = Live(console=console, transient=True, auto_refresh=False)
        self._step = max(1, search.budget // _LINES)

    def __enter__(self) -> Progress:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()
        console.print(self._table(self._search.states()))
        console.print(self._summary())

    def update(self, record: Record) -> None:
        """Show what has changed with a record."""
        if record.outcome.error:
            self._failed[record.outcome.error.split(":")[0]] += 1
        if console.is_terminal:
            self._live.update(self._table(self._search.states()[:_MOST_TASKS]), refresh=True)
        elif self._search.spent % self._step == 0:
            console.print(self._line())

    def _line(self) -> str:
        spent, budget = self._search.spent, self._search.budget
        here = spent - self._before
        seconds = time.monotonic() - self._begin
        left = seconds / max(here, 1) * (budget - spent)
        return f"{spent} of {budget} trials, {seconds:.0f} s, about {left:.0f} s left"

    def _table(self, states: list[TaskState]) -> Table:
        table = Table("kernel", title=self._line() if self._live.is_started else None)
        for name in ("calls", "trials", "default µs", "best µs", "gain"):
            table.add_column(name, justify="right")
        table.add_column("config")
        for state in states:
            cells = ["-", "-", "-", "no time of the default"]
            if state.default_seconds and state.best:
                before, gain = state.default_seconds * 1e6, state.best.gain
                told = said(gain, state.best.noise) if gain > 1 else "no change"
                cells = [f"{before:.2f}", f"{before / gain:.2f}", told]
                cells.append(_config(state.best.config) if gain > 1 else "default")
            table.add_row(task_name(state.task), str(state.calls), str(state.spent), *cells)
        return table

    def _summary(self) -> str:
        before, after = self._search.totals()
        spent, seconds = self._search.spent - self._before, time.monotonic() - self._begin
        failed = "".join(f", {count} {kind}" for kind, count in self._failed.items())
        gain = ""
        if after:
            gain = f"; these kernels together: {said(before / after, self._search.gain_noise())}"
        return (
            f"{spent} trials spent in {seconds:.0f} s{failed}, {self._before} were in the logs"
            f"{gain}"
        )


def show_logs(directory: Path, target: str | None) -> None:
    """The best of each task in the logs, and what does not count."""
    names = dict.fromkeys(name for name, _ in log_files(directory))
    for name in names:
        if target in (None, name):
            _show_target(directory, name)
    if not names:
        output.print(f"{directory}: no logs")


def _show_target(directory: Path, target: str) -> None:
    logs, registers = read_logs(directory, target), TARGETS[target].registers
    known = Known(logs.records, registers)
    table = Table("kernel", title=f"{target}: {len(logs.records)} records")
    for name in ("trials", "failed", "gain"):
        table.add_column(name, justify="right")
    table.add_column("config")
    failed = Counter(r.trial.task for r in logs.records if r.outcome.error)
    for task in known.all_tasks():
        best = known.best(task)
        cells = [str(len(known.tried(task))), str(failed[task])]
        if best is None:
            cells += ["-", ""]
        else:
            told = said(best.gain, best.noise) if best.gain > 1 else "no change"
            cells += [told, _config(best.config)]
        table.add_row(task_name(task), *cells)
    output.print(table)
    for line in [*_machines(logs.records), *logs.notes()]:
        output.print(line, markup=False, highlight=False, soft_wrap=True)


def _machines(records: Iterable[Record]) -> list[str]:
    dates: dict[tuple[str, str], list[str]] = {}
    for record in records:
        made = record.provenance
        dates.setdefault((made.cpu, made.tvm), []).append(made.date)
    return [
        f"{len(found)} on {cpu} with TVM {tvm}, {min(found)} to {max(found)}"
        for (cpu, tvm), found in dates.items()
    ]
