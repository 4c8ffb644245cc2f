"""From records to configs: the best measured one of each task, or the default where it is as good.

A record's gain is its default's time, measured in turns with it, over its own. Gains can be
compared between machines; where several measured a config, their geometric mean counts.
"""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from rtcompile.codegen.program.kernel_configs import Choices, Source
from rtcompile.codegen.program.trials import (
    Config,
    Outcome,
    Task,
    Trial,
)
from rtcompile.targets import Registers
from rtcompile.tuning.tuned.gains import Gains
from rtcompile.tuning.tuned.kernels import KERNELS
from rtcompile.tuning.tuned.records import Record

__all__ = ["Best", "Known", "choices_of", "default_seconds", "describe_choices"]


@dataclass(frozen=True)
class Best:
    """The config that a task is built with, and its gain over the default; 1 for the default.

    `noise`: what the gain may be off by, as a share.
    """

    config: Config
    gain: float
    noise: float = 0.0


class Known:
    """What the records tell of tasks, worked out for those that are asked for."""

    def __init__(self, records: Iterable[Record], registers: Registers) -> None:
        self._registers = registers
        self._records: dict[Task, list[Record]] = defaultdict(list)
        self._spaces: dict[Task, set[Trial]] = {}
        self._defaults: dict[Task, Config] = {}
        self._alike: dict[tuple[object, ...], set[Task]] = defaultdict(set)
        for record in records:
            self.add(record)

    def add(self, record: Record) -> None:
        """Take a record in."""
        task = record.trial.task
        self._records[task].append(record)
        self._alike[_product(task)].add(task)

    def all_tasks(self) -> list[Task]:
        """Of every kernel."""
        return list(self._records)

    def tasks(self, kernel: str) -> list[Task]:
        """The kernel's tasks that there are records of."""
        return [task for task in self._records if task.kernel == kernel]

    def tried(self, task: Task) -> set[Trial]:
        """The trials that were made, failed ones too."""
        return {record.trial for record in self._records.get(task, ())}

    def measurements(self, task: Task) -> Counter[Trial]:
        """How often each trial was made."""
        return Counter(record.trial for record in self._records.get(task, ()))

    def default_seconds(self, task: Task) -> float | None:
        """Of the default: the median of all its measurements; None where there is none."""
        measured = [(r.trial, r.outcome) for r in self._records.get(task, ())]
        return default_seconds(Trial.of(task, self._default(task)), measured)

    def gains(self, task: Task) -> Gains:
        """Of each config that was measured and that its kernel has."""
        measured = [r for r in self._records.get(task, ()) if r.outcome.seconds is not None]
        if not measured:
            return Gains()
        space = self._space(task)
        alone = {_machine(r): r.outcome.seconds for r in measured if self._is_default(r)}
        found = Gains()
        for record in measured:
            before = record.outcome.default_seconds or alone.get(_machine(record))
            if before and record.trial in space:
                found.add(record.trial, record.outcome, before, _machine(record))
        return found

    def _space(self, task: Task) -> set[Trial]:
        if task not in self._spaces:
            configs = KERNELS[task.kernel].configs(task, self._registers)
            self._spaces[task] = {Trial.of(task, config) for config in configs}
        return self._spaces[task]

    def best(self, task: Task) -> Best | None:
        """The best config that is known, None where nothing was measured."""
        found = self.gains(task)
        if found.is_empty:
            return None
        best = found.best()
        if best is None:
            return Best(self._default(task), 1.0)
        return Best(best[0].values, best[1].times, best[1].noise)

    def essential(self, task: Task) -> set[Trial]:
        """The trials that the choice of the task's config rests on: the default and the best."""
        best = self.best(task)
        default = Trial.of(task, self._default(task))
        return {default} if best is None else {default, Trial.of(task, best.config)}

    def alike(self, task: Task) -> Best | None:
        """The best config of the same product under other circumstances, if this task has it."""
        bests = [
            best for other in self._alike.get(_product(task), ()) if (best := self.best(other))
        ]
        space = KERNELS[task.kernel].configs(task, self._registers) if bests else ()
        usable = [best for best in bests if best.config in space]
        return max(usable, key=lambda best: best.gain, default=None)

    def _default(self, task: Task) -> Config:
        if task not in self._defaults:
            self._defaults[task] = KERNELS[task.kernel].configs(task, self._registers)[0]
        return self._defaults[task]

    def _is_default(self, record: Record) -> bool:
        return record.trial == Trial.of(record.trial.task, self._default(record.trial.task))


def _product(task: Task) -> tuple[object, ...]:
    return (task.kernel, *KERNELS[task.kernel].product(task))


def _machine(record: Record) -> tuple[str, str]:
    return record.provenance.cpu, record.provenance.features


def describe_choices(choices: Choices) -> dict[str, Any]:
    """What the manifest says: how many kernels have a config from where, and each kernel's."""
    counts = Counter(choice.source for choice in choices.asked.values())
    return {
        **{source: counts[source] for source in ("tuned", "reused", "defaulted")},
        "kernels": [
            {
                "kernel": task.kernel,
                "parameters": task.values,
                "config": dict(choice.config),
                "source": choice.source,
                "calls": choice.calls,
            }
            for task, choice in choices.asked.items()
        ],
    }


def default_seconds(default: Trial, measured: Iterable[tuple[Trial, Outcome]]) -> float | None:
    """The median of a default's times, in its own trials and in turns with others."""
    found = [
        outcome.default_seconds or outcome.seconds
        for trial, outcome in measured
        if outcome.default_seconds or trial == default
    ]
    times = [seconds for seconds in found if seconds is not None]
    return statistics.median(times) if times else None


def choices_of(
    known: Known, registers: Registers, given: Mapping[Task, Config] = MappingProxyType({})
) -> Choices:
    """What a build asks: a task's own config, or that of the same product measured otherwise.

    `given`: configs that hold whatever is known.
    """

    def find(task: Task) -> tuple[Config, Source] | None:
        if task in given:
            return given[task], "tuned"
        best = known.best(task)
        if best is not None:
            return best.config, "tuned"
        alike = known.alike(task)
        return None if alike is None else (alike.config, "reused")

    return Choices(registers, find)
