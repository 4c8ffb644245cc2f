"""What is known of a task after each of its trials: the best gain over the default so far."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from rtcompile.tuning.chosen import default_seconds
from rtcompile.tuning.trials import Outcome, Task, Trial

__all__ = ["Measured", "Progress", "TaskUse"]


@dataclass(frozen=True)
class TaskUse:
    """A task of the model, its default, and how many calls of its kernel the model has.

    `runs`: of the kernel, in the call that an outcome's seconds are of.
    """

    task: Task
    default: Trial
    calls: int = 1
    runs: int = 1


@dataclass(frozen=True)
class Measured:
    """A trial's outcome, and when it came: seconds since the run began.

    `earlier`: it comes from the logs, not from this run.
    """

    trial: Trial
    outcome: Outcome
    at: float = 0.0
    earlier: bool = False


class Progress:
    """A task's trials, in the order in which they came.

    Gains are times of the default over times of a config, of the same turns where they were
    measured in turns; several of a config count with their geometric mean. A gain below `margin`
    may be noise: then the default stays.
    """

    def __init__(self, use: TaskUse, measured: Sequence[Measured], margin: float) -> None:
        self.use, self.measured = use, measured
        self._default_call = default_seconds(use.default, [(m.trial, m.outcome) for m in measured])
        self.gains: list[float | None] = [self._gain(m) for m in measured]
        self._found: dict[Trial, list[float]] = defaultdict(list)
        self._margin = margin
        self.best_gains = [self._take(m, g) for m, g in zip(measured, self.gains, strict=True)]

    @property
    def default_seconds(self) -> float | None:
        """Of a run of the kernel with the default; None where it was not measured."""
        return None if self._default_call is None else self._default_call / self.use.runs

    @property
    def gain(self) -> float:
        """The gain of the best config; 1 for the default."""
        return self.best_gains[-1] if self.best_gains else 1.0

    @property
    def best(self) -> Trial:
        """The best config, the default where none gains more than the margin."""
        means = {trial: _mean(logarithms) for trial, logarithms in self._found.items()}
        found = max(means, key=lambda trial: means[trial], default=self.use.default)
        return found if means.get(found, 1.0) > self._margin else self.use.default

    def _gain(self, measured: Measured) -> float | None:
        seconds = measured.outcome.seconds
        if seconds is None or self._default_call is None:
            return None
        return (measured.outcome.default_seconds or self._default_call) / seconds

    def _take(self, measured: Measured, gain: float | None) -> float:
        if gain is not None:
            self._found[measured.trial].append(math.log(gain))
        best = max(map(_mean, self._found.values()), default=1.0)
        return best if best > self._margin else 1.0


def _mean(logarithms: Sequence[float]) -> float:
    return math.exp(sum(logarithms) / len(logarithms))
