"""What is tuned, and what running it gave: the words that search, runners and logs share."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

__all__ = ["Config", "Outcome", "Runner", "Task", "Trial"]

Config = Mapping[str, int]


@dataclass(frozen=True)
class Task:
    """A kernel to tune: the template's name and version, and what it is specialised for.

    `parameters` is canonical JSON of plain values, so that tasks hash and compare.
    """

    kernel: str
    version: int
    parameters: str

    @staticmethod
    def of(kernel: str, version: int, parameters: Mapping[str, int | str]) -> Task:
        """The task of these parameters."""
        return Task(kernel, version, json.dumps(dict(parameters), sort_keys=True))

    @property
    def values(self) -> dict[str, int | str]:
        """The parameters."""
        found: dict[str, int | str] = json.loads(self.parameters)
        return found


@dataclass(frozen=True)
class Trial:
    """One form of a task's kernel, to be built, checked and timed."""

    task: Task
    config: str  # canonical JSON of a Config

    @staticmethod
    def of(task: Task, config: Config) -> Trial:
        """The trial of a config."""
        return Trial(task, json.dumps(dict(config), sort_keys=True))

    @property
    def values(self) -> dict[str, int]:
        """The config."""
        found: dict[str, int] = json.loads(self.config)
        return found


@dataclass(frozen=True)
class Outcome:
    """`seconds` a run of the kernel, or None and the `error`: build, crash, timeout or wrong.

    "lost" says that the machine that had the trial is gone; the trial was not spent.
    `default_seconds`: of the task's default config, if the runner measured it in turns with this;
    `spread`: how far the ratio of the two may be off, as a share, if the runner says so.
    """

    seconds: float | None
    error: str = ""
    default_seconds: float | None = None
    spread: float | None = None


class Runner(Protocol):
    """Runs trials somewhere: in processes of this machine, or on others."""

    def run(self, trials: Sequence[Trial]) -> Iterator[tuple[Trial, Outcome]]:
        """Each trial with its outcome, in the order in which they end."""
        ...
