"""The search: which trials to spend next, until the budget is spent or nothing is left to try.

first   every task's default config
then    batches: of the task with the most time to gain for the trials that it had, the configs
        that the cost model chooses
last    the best config of each task once more, in turns with its default: of many, the luckiest
        looks best, and the default stays unless this time it loses by more than the noise
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rtcompile.codegen.lowering.generic import GENERIC_KERNEL
from rtcompile.codegen.program.trials import Runner, Task, Trial
from rtcompile.targets import CpuTarget
from rtcompile.tuning.cost_model import CostModel
from rtcompile.tuning.tuned.kernels import KERNELS
from rtcompile.tuning.tuned.kernels.base import runs_of
from rtcompile.tuning.tuned.known_configs import Best, Known
from rtcompile.tuning.tuned.logs import append
from rtcompile.tuning.tuned.records import Provenance, Record

__all__ = ["Search", "TaskState"]

_BATCH = 8
_LEAST_SHARE = 0.01  # of the time of all kernels, for a generic one to be searched


@dataclass(frozen=True)
class TaskState:
    """Where a task is: trials spent, seconds of a run with the default, the best config.

    `default_seconds` and `best` are None where the default was not measured, or failed.
    """

    task: Task
    calls: int
    spent: int
    default_seconds: float | None
    best: Best | None


class Search:
    """Tunes `tasks` (with their calls in the model) on the machine of `provenance`.

    `known` holds what this machine's records tell. Each outcome is in the log before the next
    trial starts; whoever stops the search loses nothing but the trial that runs. `budget` counts
    measurements.
    """

    def __init__(
        self,
        tasks: Mapping[Task, int],
        known: Known,
        target: CpuTarget,
        directory: Path,
        provenance: Provenance,
        budget: int,
    ) -> None:
        self._tasks, self._known, self._target = dict(tasks), known, target
        self._directory, self._provenance = directory, provenance
        self._spaces = {
            task: [Trial.of(task, c) for c in KERNELS[task.kernel].configs(task, target.registers)]
            for task in tasks
        }
        # Where a second time is slower, another config becomes the best, and is unsure in its turn.
        self.budget = min(budget, sum(map(len, self._spaces.values())) + 2 * len(tasks))

    @property
    def spent(self) -> int:
        """Trials of these tasks that the logs hold."""
        return sum(map(self._spent, self._tasks))

    def states(self) -> list[TaskState]:
        """Of each task, those with the most calls of the longest kernels first."""
        found = []
        for task, calls in self._tasks.items():
            seconds = self._known.default_seconds(task)
            each = None if seconds is None else seconds / runs_of(KERNELS[task.kernel], task)
            spent = self._spent(task)
            found.append(TaskState(task, calls, spent, each, self._known.best(task)))
        return sorted(found, key=lambda state: -state.calls * (state.default_seconds or 0))

    def totals(self) -> tuple[float, float]:
        """Seconds of all kernel calls of the model with the default configs, and with the best."""
        before = after = 0.0
        for state in self.states():
            if state.default_seconds and state.best:
                before += state.calls * state.default_seconds
                after += state.calls * state.default_seconds / state.best.gain
        return before, after

    def gain_noise(self) -> float:
        """What the gain of all kernels may be off by, as a share: that of each by its time."""
        after = self.totals()[1]
        parts = [
            state.best.noise * state.calls * state.default_seconds / state.best.gain
            for state in self.states()
            if state.default_seconds and state.best
        ]
        return sum(parts) / after if after else 0.0

    def run(self, runner: Runner, model: CostModel) -> Iterator[Record]:
        """Spend the trials that are left; each record once it is in the log."""
        while batch := self._next(model):
            lost = 0
            for trial, outcome in runner.run(batch):
                if outcome.error.startswith("lost"):
                    lost += 1
                    continue
                record = Record(trial, outcome, self._provenance.now())
                append(self._directory, self._target.name, record)
                self._known.add(record)
                yield record
            if lost == len(batch):
                return

    def _spent(self, task: Task) -> int:
        made = self._known.measurements(task)
        return sum(made[trial] for trial in self._spaces[task])

    def _next(self, model: CostModel) -> list[Trial]:
        left = self.budget - self.spent
        if left <= 0:
            return []
        defaults = [space[0] for space in self._spaces.values()]
        first = [trial for trial in defaults if trial not in self._known.tried(trial.task)]
        if first:
            return first[:left]
        unsure = self._unsure()
        state = max(self._open(), key=_promise, default=None)
        if state is None or left <= len(unsure):
            return unsure[:left]
        count = min(_BATCH, left - len(unsure))
        return model.choose(self._learned(state.task.kernel), self._untried(state.task), count)

    def _unsure(self) -> list[Trial]:
        """The trials that look best and were measured only once, those of the longest first."""
        found = [self._known.gains(state.task).unsure() for state in self.states()]
        return [trial for trial in found if trial is not None]

    def _open(self) -> list[TaskState]:
        """Tasks with something to try. A generic kernel must be worth it."""
        states = self.states()
        least = _LEAST_SHARE * sum(map(_time, states))
        return [
            s
            for s in states
            if s.best is not None
            and self._untried(s.task)
            and (s.task.kernel != GENERIC_KERNEL[0] or _time(s) >= least)
        ]

    def _untried(self, task: Task) -> list[Trial]:
        tried = self._known.tried(task)
        return [trial for trial in self._spaces[task] if trial not in tried]

    def _learned(self, kernel: str) -> dict[Trial, float | None]:
        """The gains of the kernel's trials, of other models' tasks too."""
        found: dict[Trial, float | None] = {}
        for task in self._known.tasks(kernel):
            gains = self._known.gains(task).known()
            for trial in sorted(self._known.tried(task), key=lambda one: one.config):
                found[trial] = gains[trial].times if trial in gains else None
        return found


def _time(state: TaskState) -> float:
    """Of all calls in the model, with the default."""
    return state.calls * (state.default_seconds or 0)


def _promise(state: TaskState) -> float:
    return _time(state) / state.spent
