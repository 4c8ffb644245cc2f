"""A campaign over graphs that Hypothesis draws: many in one build, a failing one made smaller.

    python -m tests.fuzz.campaign --first 0 --graphs 20000

A part is a seed of Hypothesis and 50 graphs, which are built side by side. Where one fails, the
same seed is drawn again, the graphs that passed are passed over, and Hypothesis looks for the
smallest graph that still fails on its own. After each part is said how far it is: a campaign goes
on with `--first PART`, and a part that failed runs again by `--first PART --graphs 50`.
`--dtypes float32,float64,int8,uint8,bool` draws other graphs.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import hypothesis
import onnx
from hypothesis import HealthCheck, Phase

from tests.fuzz.batch import Verdict, judged
from tests.fuzz.draw import graphs
from tests.fuzz.graph import DTYPES, Graph

__all__ = ["A_PART", "Campaign", "Failure", "drawn", "run_part"]

A_PART = 50  # graphs
_MOST_TRIES = 60  # to make one smaller


@dataclass(frozen=True)
class Failure:
    """The smallest graph that was found to fail, and how."""

    part: int
    reason: str
    graph: str

    def __str__(self) -> str:
        return f"part {self.part}: {self.reason}\n{self.graph}"


@dataclass
class Campaign:
    """What was seen. `refused`: reasons of graphs that a build names."""

    graphs: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)


def run_part(
    part: int,
    campaign: Campaign,
    dtypes: tuple[str, ...] = DTYPES,
    count: int = A_PART,
    judge: Callable[[list[Graph]], list[Verdict]] = judged,
) -> None:
    """Judge as many graphs of a part, and make those that fail smaller."""
    found = drawn(part, dtypes, count)
    verdicts = dict(zip(found, judge(list(found.values())), strict=True))
    campaign.graphs += len(found)
    for key, verdict in verdicts.items():
        if verdict.refused:
            campaign.refused[f"{verdict.refused}\n{_text(found[key])}"] += 1
        if verdict.failed:
            graph, reason = _smallest(part, dtypes, count, key, judge)
            # Where it fails beside the others alone, it is told as it was drawn.
            told = reason or f"{verdict.failed} (beside other graphs)"
            failure = Failure(part, told, _text(graph or found[key]))
            if failure not in campaign.failures:
                campaign.failures.append(failure)


def drawn(part: int, dtypes: tuple[str, ...] = DTYPES, count: int = A_PART) -> dict[bytes, Graph]:
    """The graphs of a part, without those that are drawn again."""
    found: dict[bytes, Graph] = {}

    def keep(graph: Graph) -> None:
        found.setdefault(_key(graph), graph)

    _draw(part, dtypes, count, keep, (Phase.generate,))
    return found


def _smallest(
    part: int,
    dtypes: tuple[str, ...],
    count: int,
    failing: bytes,
    judge: Callable[[list[Graph]], list[Verdict]],
) -> tuple[Graph | None, str]:
    """The graph that Hypothesis makes of a failing one in some tries, and how that fails.

    (None, "") where it does not fail on its own.
    """
    last, known = failing, dict[bytes, tuple[Graph, Verdict]]()

    def agrees(graph: Graph) -> None:
        nonlocal last
        key = _key(graph)
        if len(known) == _MOST_TRIES:
            raise _EnoughTriesError
        if key not in known and (known or key == failing):
            known[key] = graph, judge([graph])[0]
        if key in known and known[key][1].failed:
            last = key
            raise _DisagreementError

    try:
        _draw(part, dtypes, count, agrees, (Phase.generate, Phase.shrink))
    except (_DisagreementError, _EnoughTriesError):
        graph, verdict = known[last]
        return graph, verdict.failed
    return None, ""


class _DisagreementError(Exception):
    """A graph fails."""


class _EnoughTriesError(BaseException):
    """Hypothesis is to stop: it takes an Exception for a failure."""


def _draw(
    part: int,
    dtypes: tuple[str, ...],
    count: int,
    take: Callable[[Graph], None],
    phases: Iterable[Phase],
) -> None:
    """Have Hypothesis draw the graphs of a part."""

    @hypothesis.seed(part)
    @hypothesis.settings(
        max_examples=count,
        phases=tuple(phases),
        database=None,
        deadline=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(graphs(dtypes))
    def each(graph: Graph) -> None:
        take(graph)

    each()


def _key(graph: Graph) -> bytes:
    """What two equal graphs with equal inputs have in common."""
    serialized: Any = graph.model().SerializeToString(deterministic=True)
    return graph.seed.to_bytes(8, "little") + bytes(serialized)


def _text(graph: Graph) -> str:
    return f"inputs by {graph.seed}, {onnx.printer.to_text(graph.model())}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=0, help="part to begin with")
    parser.add_argument("--graphs", type=int, default=20000)
    parser.add_argument("--dtypes", default=",".join(DTYPES))
    args = parser.parse_args()
    dtypes = tuple(args.dtypes.split(","))
    campaign, start = Campaign(), time.monotonic()
    gc.freeze()  # what is imported need not be looked through after each build
    part = args.first
    while campaign.graphs < args.graphs:
        known = len(campaign.failures)
        run_part(part, campaign, dtypes)
        for failure in campaign.failures[known:]:
            print(failure, flush=True)
        seconds = time.monotonic() - start
        print(
            f"part {part}: {campaign.graphs} graphs, {len(campaign.failures)} failures, "
            f"{sum(campaign.refused.values())} refused, {seconds / campaign.graphs:.2f} s a graph",
            flush=True,
        )
        part += 1
    for reason, count in campaign.refused.most_common():
        print(f"{count} refused: {reason}")
    return 1 if campaign.failures else 0


if __name__ == "__main__":
    sys.exit(main())
