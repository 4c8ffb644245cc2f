"""What `rtcompile bench` can be told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["BenchOptions"]


@dataclass(frozen=True)
class BenchOptions:
    """The command line's options, by their names; `rows` and `models` as they were given."""

    against: tuple[str, ...] = ()
    rows: str | None = None
    threads: int = 1
    models: str | None = None
    profile: bool = False
    without: tuple[str, ...] = ()
    quantize: str = "none"
    calibration: Path | None = None
    tuning_logs: Path | None = None
    target: str = "host"
    json: Path | None = None
