"""Tunes the rows of a tile: whole artifacts, built with the best kernels found so far.

A size moves the row counts of all kernels of a stage and what stays in the caches between them,
which no kernel by itself shows. There are four sizes: each is measured once, and the best of them
once more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from rtcompile.codegen.program.tile_rows import STAGE_TILE_KERNEL
from rtcompile.codegen.program.trials import Outcome, Task, Trial
from rtcompile.compile.compiler import Compiler
from rtcompile.compile.write_artifact import write_variants
from rtcompile.files.scratch_folder import scratch_folder
from rtcompile.targets import CpuTarget
from rtcompile.tuning.report.comparison import said
from rtcompile.tuning.requests import Requests
from rtcompile.tuning.tuned.kernels import KERNELS
from rtcompile.tuning.tuned.known_configs import Known
from rtcompile.tuning.tuned.logs import append
from rtcompile.tuning.tuned.records import Provenance, Record

__all__ = ["RequestRunner", "TileSearch", "is_tile"]


class RequestRunner(Protocol):
    """Measures requests to whole artifacts somewhere."""

    def run_requests(self, candidate: Path, default: Path | None, requests: Requests) -> Outcome:
        """The outcome of a candidate, in turns with the default."""
        ...


def is_tile(task: Task) -> bool:
    """Whether a task is of a tile's rows, not of a kernel."""
    return task.kernel == STAGE_TILE_KERNEL[0]


class TileSearch:
    """The sizes of `tasks` on the machine of `provenance`.

    `known` holds what this machine's records tell. `compiler` is asked for where there is something
    to measure, and has the logs' best kernels.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        known: Known,
        target: CpuTarget,
        directory: Path,
        provenance: Provenance,
        compiler: Callable[[], Compiler],
        requests: Requests,
    ) -> None:
        self._tasks, self._known, self._target = tasks, known, target
        self._directory, self._provenance = directory, provenance
        self._compiler, self._requests = compiler, requests

    def run(self, runner: RequestRunner, progress: Callable[[str], None]) -> Iterator[Record]:
        """Measure what the logs lack; each record once it is in the log."""
        for task in self._tasks:
            with scratch_folder() as folder:
                builds = _Builds(self._compiler, folder)
                while (trial := self._next(task)) is not None:
                    progress(f"measure tiles of {trial.values['rows']} rows")
                    outcome = self._measure(trial, builds, runner)
                    if outcome.error.startswith("lost"):
                        return
                    record = Record(trial, outcome, self._provenance.now())
                    append(self._directory, self._target.name, record)
                    self._known.add(record)
                    yield record

    def summary(self, spent: int) -> list[str]:
        """A line on each stage's tile: the best size, and what requests gain by it."""
        found = []
        for task in self._tasks:
            best = self._known.best(task)
            if best is not None:
                default = self._space(task)[0].values["rows"]
                found.append(
                    f"tiles of {best.config['rows']} rows (default {default}): requests "
                    f"{said(best.gain, best.noise)}; {spent} trials spent"
                )
        return found

    def _space(self, task: Task) -> list[Trial]:
        configs = KERNELS[task.kernel].configs(task, self._target.registers)
        return [Trial.of(task, config) for config in configs]

    def _next(self, task: Task) -> Trial | None:
        made = self._known.measurements(task)
        untried = [trial for trial in self._space(task) if not made[trial]]
        if untried:
            return untried[0]
        return self._known.gains(task).unsure()

    def _measure(self, trial: Trial, builds: _Builds, runner: RequestRunner) -> Outcome:
        default = self._space(trial.task)[0]
        other = None if trial == default else builds.of(default)
        return runner.run_requests(builds.of(trial), other, self._requests)


class _Builds:
    """Artifacts of a model by the trial that they are built with."""

    def __init__(self, compiler: Callable[[], Compiler], folder: Path) -> None:
        self._ask, self._folder = compiler, folder
        self._compiler: Compiler | None = None
        self._built: dict[Trial, Path] = {}

    def of(self, trial: Trial) -> Path:
        """The artifact. Raises what a build raises."""
        if trial not in self._built:
            if self._compiler is None:
                self._compiler = self._ask()
            made = self._compiler.compile(configs={trial.task: trial.values})
            path = self._folder / f"{len(self._built)}.rtc"
            write_variants(path, [(made.manifest, made.sections)])
            self._built[trial] = path
        return self._built[trial]
