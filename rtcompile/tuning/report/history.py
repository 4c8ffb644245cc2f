"""What a tuning run did, as its report shows it, and the sums that follow from it."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from rtcompile.codegen.program.trials import Task
from rtcompile.tuning.report.comparison import loaded_note
from rtcompile.tuning.report.progress import Measured, Progress, TaskUse
from rtcompile.tuning.tuned.machine import Machine

__all__ = ["EndToEnd", "History", "failures"]


@dataclass(frozen=True)
class EndToEnd:
    """Seconds of a request of the whole model, built with default configs and with the best.

    `noise`: how far the ratio of the two may be off, as a share.
    """

    label: str
    default: float
    tuned: float
    noise: float = 0.0


@dataclass(frozen=True)
class History:
    """A run: the model's tasks, the measurements in the order in which they came, the machine.

    `seconds` that the run took; `margin`: see `Progress`; `provenance`: what else the page names.
    `load`: other processes that wanted to run as it began, on so many `cores`.
    """

    model: str
    target: str
    machine: Machine
    tasks: Sequence[TaskUse]
    measured: Sequence[Measured]
    seconds: float
    margin: float = 1.0
    end_to_end: Sequence[EndToEnd] = ()
    provenance: Mapping[str, str] = field(default_factory=dict)
    load: float = 0.0
    cores: int = 1

    @cached_property
    def progress(self) -> dict[Task, Progress]:
        """Each task of the model with its trials, those of the longest time in the model first."""
        by_task: dict[Task, list[Measured]] = {use.task: [] for use in self.tasks}
        for measured in self.measured:
            if measured.trial.task in by_task:
                by_task[measured.trial.task].append(measured)
        found = [Progress(use, by_task[use.task], self.margin) for use in self.tasks]
        found.sort(key=lambda p: p.use.calls * (p.default_seconds or 0), reverse=True)
        return {progress.use.task: progress for progress in found}

    @cached_property
    def estimates(self) -> list[float]:
        """Seconds of all kernel calls of the model, at first and after each measurement.

        A task counts with its default until a config gains. Tasks whose default was not measured
        are left out.
        """
        steps = {task: iter(progress.best_gains) for task, progress in self.progress.items()}
        current = {
            task: progress.use.calls * progress.default_seconds
            for task, progress in self.progress.items()
            if progress.default_seconds is not None
        }
        defaults, totals = dict(current), [sum(current.values())]
        for measured in self.measured:
            task = measured.trial.task
            if task in current:
                current[task] = defaults[task] / next(steps[task])
            totals.append(sum(current.values()))
        return totals

    @property
    def gain_noise(self) -> float:
        """What the gain of all kernels may be off by, as a share: that of each by its time."""
        total = self.estimates[-1]
        parts = [
            p.noise * p.use.calls * p.default_seconds / p.gain
            for p in self.progress.values()
            if p.default_seconds is not None
        ]
        return sum(parts) / total if total else 0.0

    @property
    def drift(self) -> float:
        """How much the kernels' default times differ from one measurement to the next, a share."""
        drifts = [progress.drift for progress in self.progress.values() if progress.measured]
        return statistics.median(drifts) if drifts else 0.0

    @property
    def note(self) -> str:
        """That the machine was not quiet, if so."""
        return loaded_note(self.drift, self.load, self.cores)

    @property
    def new(self) -> list[Measured]:
        """The trials that were spent in this run."""
        return [measured for measured in self.measured if not measured.earlier]

    def failures(self) -> Counter[str]:
        """How many trials failed, by kind."""
        return failures(self.measured)

    def reaching(self, share: float) -> int:
        """Measurements after which that share of the whole gain was there for good."""
        first, last = self.estimates[0], self.estimates[-1]
        wanted = first - share * (first - last)
        late = [i for i, total in enumerate(self.estimates) if total > wanted * (1 + 1e-9)]
        return late[-1] + 1 if late else 0

    def moment(self, share: float) -> float:
        """Seconds of this run until that share of the gain was there; 0 where the logs had it."""
        times = [m.at for m in self.measured[: self.reaching(share)] if not m.earlier]
        return times[-1] if times else 0.0


def failures(measured: Sequence[Measured]) -> Counter[str]:
    """How many of these failed, by kind."""
    return Counter(m.outcome.error.partition(":")[0] for m in measured if m.outcome.seconds is None)
