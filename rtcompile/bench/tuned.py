"""`rtcompile bench WHAT --tuning-logs DIR`: what tuned kernels gain over default ones.

Two builds of a model, one with the records of DIR and one without any, answer the same requests in
turns in one process, on one thread. Their scores are compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtcompile.bench.ablation import same_scores
from rtcompile.bench.graphs import Say
from rtcompile.bench.peers import in_turn
from rtcompile.bench.subjects import Subject
from rtcompile.bench.timing import side_by_side
from rtcompile.runtime import Ranker

__all__ = ["Tuned", "compare_tuned"]


@dataclass(frozen=True)
class Tuned:
    """Microseconds a request of `rows` rows by default configs and by those of the logs.

    `kernels`: how many of the tuned build were measured for their very task, reused, or defaulted.
    """

    model: str
    target: str
    rows: int
    default: float
    tuned: float
    kernels: tuple[int, int, int]


def compare_tuned(
    subject: Subject, logs: Path, target: str, rows: Sequence[int], folder: Path, progress: Say
) -> list[Tuned]:
    """Build `subject` twice and measure. Raises what a build raises, and VerificationError."""
    none = folder / "no-logs"
    none.mkdir(exist_ok=True)
    rankers: dict[str, Ranker] = {}
    for name, records in (("default", none), ("tuned", logs)):
        path = folder / f"{subject.name}.{name}.rtc"
        subject.build(path, progress, tuning_logs=records, target=target)
        rankers[name] = subject.load(path)
    about = rankers["tuned"].manifest
    kinds = ("tuned", "reused", "defaulted")
    tuned, reused, defaulted = (int(about["tuning"][kind]) for kind in kinds)
    progress(f"{subject.name}: measuring")
    found = []
    for count in rows:
        calls = {name: subject.calls(ranker, count) for name, ranker in rankers.items()}
        first: dict[str, Any] = {name: made[0]() for name, made in calls.items()}
        same_scores("tuned kernels", first["default"], first["tuned"])
        taken = side_by_side({name: in_turn(made) for name, made in calls.items()})
        figures = taken["default"], taken["tuned"]
        kernels = tuned, reused, defaulted
        found.append(Tuned(subject.name, about["target"]["name"], count, *figures, kernels))
    return found
