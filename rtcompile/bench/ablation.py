"""`rtcompile bench WHAT --without PART`: what a part of the compiler gains, by turning it off.

staging     the whole network is one stage that runs for every row: nothing of it is computed once a
            request or once an item. Features stay with their sides, as any other stack has them.
trimming    the scores of attention over a user's sequence are computed for its padding too.
fusion      each operator of the graph is a kernel of its own, over a tile in the cache. The product
            with a constant matrix keeps its template, with nothing drawn in: without it the
            comparison would be with an unscheduled loop, which is not what fusion saves. Parts of
            a concatenation stay one copy, for the same reason.
item-cache  nothing of an item is kept: its features and its share of the network are computed from
            its raw fields in each request.

All give the same scores, which is checked. The builds take turns in one process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rtcompile import runtime
from rtcompile.bench.graphs import Say
from rtcompile.bench.peers import in_turn
from rtcompile.bench.subjects import Subject
from rtcompile.bench.timing import side_by_side
from rtcompile.bench.uncached_items import without_item_cache
from rtcompile.errors import DataError, VerificationError
from rtcompile.options import ABLATIONS
from rtcompile.verification.differences import TOLERANCE

__all__ = ["ITEM_CACHE", "PARTS", "Ablation", "ablate", "same_scores"]

ITEM_CACHE = "item-cache"
PARTS = (*ABLATIONS, ITEM_CACHE)


@dataclass(frozen=True)
class Ablation:
    """Microseconds a request of `rows` rows with everything, and `without` one part or all."""

    model: str
    rows: int
    microseconds: float
    without: Mapping[str, float]


def ablate(
    subject: Subject, parts: Sequence[str], rows: Sequence[int], folder: Path, progress: Say
) -> list[Ablation]:
    """Measure without each of `parts`, and without them all. Raises VerificationError."""
    ranking = subject.options.features is not None
    left = [part for part in parts if ranking or part == "fusion"]
    if not left:
        raise DataError(f"--without {parts[0]}: {subject.name} has no features, hence no stages")
    variants: dict[str, tuple[str, ...]] = {part: (part,) for part in left}
    if len(left) > 1:
        variants["all of them"] = tuple(left)
    rankers = {"": _built(subject, (), folder, progress)}
    for name, gone in variants.items():
        rankers[name] = _built(subject, gone, folder, progress)
    progress(f"{subject.name}: measuring")
    found = []
    for count in rows:
        calls = {name: subject.calls(ranker, count) for name, ranker in rankers.items()}
        _compare({name: made[0]() for name, made in calls.items()})
        taken = side_by_side({name: in_turn(made) for name, made in calls.items()})
        ours = taken.pop("")
        found.append(Ablation(subject.name, count, ours, taken))
    return found


def _built(subject: Subject, gone: tuple[str, ...], folder: Path, progress: Say) -> runtime.Ranker:
    path = folder / f"{subject.name}.{'.'.join(gone)}.rtc"
    compiled = tuple(part for part in gone if part in ABLATIONS)
    subject.build(path, progress, without=compiled)
    ranker = subject.load(path)
    return without_item_cache(ranker) if ITEM_CACHE in gone else ranker


def _compare(scores: Mapping[str, Any]) -> None:
    for name, given in scores.items():
        same_scores(f"without {name}", scores[""], given)


def same_scores(name: str, expected: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Raise VerificationError where two builds differ; `name` says what the second one is."""
    for output, want in expected.items():
        if not np.allclose(given[output], want, rtol=0, atol=TOLERANCE):
            raise VerificationError(f"{name}: {output!r} is not what it was")
