"""A record of the tuning logs: what a trial gave, where, when, and with what.

    {"kernel": "dense", "version": 1, "parameters": {...}, "config": {...},
     "seconds": 1.2e-05, "default_seconds": 1.4e-05, "spread": 0.008, "error": "",
     "cpu": "...", "features": "9c1b...", "tvm": "0.27.0.post1", "date": "2026-11-25T15:22:43Z"}

One a line. `seconds` is null where the trial failed; `features` is a digest of the CPU's flags.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from rtcompile.codegen.program.trials import Outcome, Task, Trial
from rtcompile.tuning.tuned.machine import Machine

__all__ = ["Provenance", "Record"]


@dataclass(frozen=True)
class Provenance:
    """The CPU's model and a digest of its flags, TVM's version, and when."""

    cpu: str
    features: str
    tvm: str
    date: str = ""

    @staticmethod
    def of(machine: Machine) -> Provenance:
        """Of what is measured there, without a date."""
        flags = hashlib.sha256(" ".join(machine.features).encode()).hexdigest()[:16]
        return Provenance(machine.cpu, flags, machine.tvm)

    def now(self) -> Provenance:
        """The same with the date."""
        date = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        return Provenance(self.cpu, self.features, self.tvm, date)

    def same_machine(self, other: Provenance) -> bool:
        """Whether times of the two can be compared."""
        return (self.cpu, self.features) == (other.cpu, other.features)


@dataclass(frozen=True)
class Record:
    """A trial, its outcome and its provenance."""

    trial: Trial
    outcome: Outcome
    provenance: Provenance

    def to_line(self) -> str:
        """As it stands in the file, without the end of the line."""
        task, outcome, provenance = self.trial.task, self.outcome, self.provenance
        fields = {
            "kernel": task.kernel,
            "version": task.version,
            "parameters": task.values,
            "config": self.trial.values,
            "seconds": outcome.seconds,
            "default_seconds": outcome.default_seconds,
            **({} if outcome.spread is None else {"spread": outcome.spread}),
            "error": outcome.error,
            "cpu": provenance.cpu,
            "features": provenance.features,
            "tvm": provenance.tvm,
            "date": provenance.date,
        }
        return json.dumps(fields, sort_keys=True)

    @staticmethod
    def of_line(line: str) -> Record:
        """The record of a line. Raises ValueError that says what is wrong with it."""
        try:
            found = json.loads(line)
        except ValueError:
            raise ValueError("not JSON") from None
        if not isinstance(found, dict):
            raise ValueError("not a record")
        read = _Reader(found)
        parameters, config = read.table("parameters", int | str), read.table("config", int)
        task = Task.of(read.text("kernel"), read.whole("version"), parameters)
        seconds, before = read.seconds("seconds"), read.seconds("default_seconds")
        outcome = Outcome(seconds, read.text("error"), before, read.share("spread"))
        if (outcome.seconds is None) != bool(outcome.error):
            raise ValueError("either seconds or an error are needed")
        machine = (read.text(name) for name in ("cpu", "features", "tvm", "date"))
        return Record(Trial.of(task, config), outcome, Provenance(*machine))


class _Reader:
    """Fields of a record, of the types that they must have."""

    def __init__(self, fields: dict[str, Any]) -> None:
        self._fields = fields

    def _get(self, name: str, kind: Any) -> Any:
        value = self._fields.get(name)
        if not isinstance(value, kind) or isinstance(value, bool):
            raise ValueError(f"{name!r} is missing or of a wrong type")
        return value

    def text(self, name: str) -> str:
        return str(self._get(name, str))

    def whole(self, name: str) -> int:
        return int(self._get(name, int))

    def seconds(self, name: str) -> float | None:
        if self._fields.get(name) is None:
            return None
        value = float(self._get(name, int | float))
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"{name!r} is no time")
        return value

    def share(self, name: str) -> float | None:
        if self._fields.get(name) is None:
            return None
        value = float(self._get(name, int | float))
        if not (math.isfinite(value) and value >= 0):
            raise ValueError(f"{name!r} is no share")
        return value

    def table(self, name: str, kind: Any) -> dict[str, Any]:
        found: dict[str, Any] = self._get(name, dict)
        for key, value in found.items():
            if not isinstance(value, kind) or isinstance(value, bool):
                raise ValueError(f"{name!r}: {key!r} is of a wrong type")
        return found
