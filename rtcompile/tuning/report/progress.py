"""What is known of a task after each of its trials: the best gain over the default so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rtcompile.codegen.program.trials import Outcome, Task, Trial
from rtcompile.tuning.tuned.gains import Gains
from rtcompile.tuning.tuned.known_configs import default_seconds

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
    measured in turns. `Gains` says which config replaces the default; `margin` is its least noise.
    """

    def __init__(self, use: TaskUse, measured: Sequence[Measured], margin: float) -> None:
        self.use, self.measured = use, measured
        self._default_call = default_seconds(use.default, [(m.trial, m.outcome) for m in measured])
        self._known = Gains(margin)
        self.gains: list[float | None] = []
        self.best_gains: list[float] = []
        for one in measured:
            before = one.outcome.default_seconds or self._default_call
            seconds = one.outcome.seconds
            self.gains.append(before / seconds if before and seconds else None)
            if before:
                self._known.add(one.trial, one.outcome, before)
            self.best_gains.append(self.gain)

    @property
    def default_seconds(self) -> float | None:
        """Of a run of the kernel with the default; None where it was not measured."""
        return None if self._default_call is None else self._default_call / self.use.runs

    @property
    def gain(self) -> float:
        """The gain of the best config; 1 for the default."""
        best = self._known.best()
        return best[1].times if best else 1.0

    @property
    def noise(self) -> float:
        """What the gain may be off by, as a share; 0 for the default."""
        best = self._known.best()
        return best[1].noise if best else 0.0

    @property
    def best(self) -> Trial:
        """The best config, the default where none gains more than the noise."""
        best = self._known.best()
        return best[0] if best else self.use.default

    @property
    def drift(self) -> float:
        """How much the default's own times differ, as a share."""
        return self._known.drift()
