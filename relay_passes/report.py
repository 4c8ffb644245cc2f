"""What a pass did: how often it applied, and what it refused and why."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["PassReport", "Report"]


@dataclass
class PassReport:
    """The doings of one pass over one module: the whole network, or that of a `stage`."""

    name: str
    applied: int = 0
    refused: list[str] = field(default_factory=list)
    stage: str = ""


@dataclass
class Report:
    """Collects a `PassReport` a pass, in the order of the pipeline. Shown by `--explain`."""

    passes: list[PassReport] = field(default_factory=list)

    def start(self, name: str, stage: str = "") -> PassReport:
        """Open the record of the pass that runs next."""
        record = PassReport(name, stage=stage)
        self.passes.append(record)
        return record
