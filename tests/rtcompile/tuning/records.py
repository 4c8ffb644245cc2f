"""Records for tests: no kernel is run for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.metadata import version

from rtcompile.codegen.program.trials import (
    Config,
    Outcome,
    Task,
    Trial,
)
from rtcompile.targets import TARGETS
from rtcompile.tuning.tuned.kernels import KERNELS
from rtcompile.tuning.tuned.records import Provenance, Record

TARGET = TARGETS["x86-64-v4"]
HERE = Provenance("a CPU", "0123", version("apache-tvm"), "2026-01-01T00:00:00Z")


def dense(columns: int = 100, epilogue: str = "", most: int = 64) -> Task:
    kernel = KERNELS["dense"]
    rows = {"least": 1, "most": most}
    values = {"depth": 30, "columns": columns, "epilogue": epilogue, **rows}
    return Task.of(kernel.name, kernel.version, values)


def configs(task: Task) -> list[Config]:
    return list(KERNELS[task.kernel].configs(task, TARGET.registers))


def record(task: Task, config: Config, seconds: float | None = 1.0, **more: object) -> Record:
    """Of a default that takes a second; `seconds` None is a failure."""
    outcome = Outcome(seconds, "" if seconds else "crash", 1.0 if seconds else None)
    provenance = Provenance(**{**vars(HERE), **more})  # type: ignore[arg-type]
    return Record(Trial.of(task, config), outcome, provenance)


class FakeRunner:
    """A config takes a second a row of its blocks; remembers what it ran."""

    def __init__(self, lose_after: int | None = None) -> None:
        self.ran: list[Trial] = []
        self._lose_after = lose_after

    def run(self, trials: Sequence[Trial]) -> Iterator[tuple[Trial, Outcome]]:
        for trial in trials:
            if self._lose_after is not None and len(self.ran) >= self._lose_after:
                yield trial, Outcome(None, "lost")
                continue
            self.ran.append(trial)
            yield trial, Outcome(float(trial.values["rows"]))
