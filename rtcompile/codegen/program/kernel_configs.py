"""The configs of a build's kernels: asked for by the lowering, answered from tuning records.

Every task that was asked for is kept with its answer: `build` reports them, `tune` tunes them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from rtcompile.codegen.program.trials import Config, Task
from rtcompile.targets import Registers

__all__ = ["Choice", "Choices", "Source"]

# tuned: measured for this very task. reused: for the same product in calls of other row counts or
# with another epilogue. defaulted: not measured; the template's analytic choice.
Source = Literal["tuned", "reused", "defaulted"]


@dataclass(frozen=True)
class Choice:
    """A config, where it comes from, and how many calls of the build's kernels have it."""

    config: Config
    source: Source
    calls: int = 1


class Choices:
    """Answers with what `find` knows of a task, else with the default.

    `asked` has the tasks in the order in which they were first met.
    """

    def __init__(
        self,
        registers: Registers,
        find: Callable[[Task], tuple[Config, Source] | None] = lambda task: None,
    ) -> None:
        self.registers = registers
        self.asked: dict[Task, Choice] = {}
        self._find = find

    def config(self, task: Task, default: Config) -> Config:
        """The config of the task's kernel."""
        known = self.asked.get(task)
        if known is None:
            config, source = self._find(task) or (default, "defaulted")
            self.asked[task] = Choice(config, source)
        else:
            self.asked[task] = Choice(known.config, known.source, known.calls + 1)
        return self.asked[task].config
