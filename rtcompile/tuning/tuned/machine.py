"""The machine that a measurement was made on: part of every record's provenance."""

from __future__ import annotations

import json
import platform
from dataclasses import asdict, dataclass
from pathlib import Path

from rtcompile.targets import CpuTarget, cpu_flags

__all__ = ["Machine"]


@dataclass(frozen=True)
class Machine:
    """The CPU's model, flags (as /proc/cpuinfo names them) and kind, and TVM's version."""

    cpu: str
    features: tuple[str, ...]
    machine: str
    tvm: str

    @staticmethod
    def here() -> Machine:
        """This machine."""
        import tvm

        return Machine(
            _cpu_model(), tuple(sorted(cpu_flags())), platform.machine(), tvm.__version__
        )

    @staticmethod
    def from_json(text: str) -> Machine:
        """What `to_json` wrote."""
        found = json.loads(text)
        return Machine(found["cpu"], tuple(found["features"]), found["machine"], found["tvm"])

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self), sort_keys=True)

    def lacks(self, target: CpuTarget) -> tuple[str, ...]:
        """What the machine cannot do that the target's code needs; empty where it runs."""
        if self.machine != target.machine:
            return (target.machine,)
        return tuple(sorted(set(target.features) - set(self.features)))


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text("utf-8", errors="replace").splitlines():
        if line.startswith(("model name", "CPU part")):
            return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown"
