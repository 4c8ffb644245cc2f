"""Collects what a run measures, for its report."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

from rtcompile.codegen.program.trials import Task, Trial
from rtcompile.targets import CpuTarget
from rtcompile.tuning.report.history import EndToEnd, History
from rtcompile.tuning.report.progress import Measured, TaskUse
from rtcompile.tuning.tuned.gains import MARGIN
from rtcompile.tuning.tuned.kernels import KERNELS
from rtcompile.tuning.tuned.kernels.base import runs_of
from rtcompile.tuning.tuned.machine import Machine
from rtcompile.tuning.tuned.records import Provenance, Record

__all__ = ["Collector"]


class Collector:
    """What a run of tuning `tasks` (with their calls in the model) on `machine` measures.

    `seconds`: until the last measurement. `earlier`: records of the logs; those of other machines
    or tasks, or of configs that a kernel has no more, are left out. `load`, `cores`: of `History`.
    """

    def __init__(
        self,
        tasks: Mapping[Task, int],
        target: CpuTarget,
        machine: Machine,
        earlier: Sequence[Record],
        load: float = 0.0,
        cores: int = 1,
    ) -> None:
        self.target, self.seconds = target, 0.0
        self._load, self._cores = load, cores
        self._machine, self._begin = machine, time.monotonic()
        spaces = {t: KERNELS[t.kernel].configs(t, target.registers) for t in tasks}
        self._uses = [
            TaskUse(
                task, Trial.of(task, spaces[task][0]), calls, runs_of(KERNELS[task.kernel], task)
            )
            for task, calls in tasks.items()
        ]
        usable = {Trial.of(task, config) for task, space in spaces.items() for config in space}
        here = Provenance.of(machine)
        self._measured = [
            Measured(record.trial, record.outcome, earlier=True)
            for record in earlier
            if record.trial in usable and record.provenance.same_machine(here)
        ]

    def add(self, record: Record) -> None:
        """Take in what was measured just now."""
        self.seconds = time.monotonic() - self._begin
        self._measured.append(Measured(record.trial, record.outcome, self.seconds))

    def history(self, model: Path, where: str, end_to_end: Sequence[EndToEnd] = ()) -> History:
        """The run up to now. `where` says what the trials ran on."""
        provenance = {
            "model's SHA-256": hashlib.sha256(model.read_bytes()).hexdigest(),
            "measured on": where,
            "rtcompile": version("rtcompile"),
            "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        }
        return History(
            model.name,
            self.target.name,
            self._machine,
            self._uses,
            self._measured,
            self.seconds,
            MARGIN,
            end_to_end,
            provenance,
            self._load,
            self._cores,
        )
