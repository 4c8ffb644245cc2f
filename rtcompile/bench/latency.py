"""Raw-to-score latency of a ranker beside its peers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from rtcompile import runtime
from rtcompile.bench.peers import Peers, in_turn
from rtcompile.bench.timing import side_by_side
from rtcompile.models.workloads.design import Request

__all__ = ["Latency", "measure"]


@dataclass(frozen=True)
class Latency:
    """Median microseconds a request of `rows` items: ours, and each peer's.

    `moved`: the largest difference of the scores that lower precision makes, where it is measured.
    `build_seconds`: what building and verifying took, of graphs on their own.
    """

    model: str
    rows: int
    microseconds: float
    peers: Mapping[str, float]
    moved: float | None = None
    build_seconds: float | None = None

    def ratios(self) -> dict[str, float]:
        """How many times as long each peer takes."""
        return {name: taken / self.microseconds for name, taken in self.peers.items()}

    @property
    def best_ratio(self) -> float | None:
        """How many times as long the best peer takes; None where there is none."""
        return min(self.ratios().values(), default=None)

    @property
    def requests_per_second(self) -> float:
        """What one core serves."""
        return 1e6 / self.microseconds


def measure(
    name: str,
    ranker: runtime.Ranker,
    peers: Peers,
    requests: Sequence[Request],
    items: Sequence[str],
    rows: Sequence[int],
) -> list[Latency]:
    """Rank the first `n` of `items` for each of `requests` in turn."""
    found = []
    moved = ranker.manifest.get("precision", {}).get("largest_difference")
    for count in rows:
        ids = (list(items) * (count // max(len(items), 1) + 1))[:count]
        cut = [request.of(count) for request in requests]
        arrays = [request.arrays() for request in cut]
        rank = [partial(ranker.rank, r.user, ids, r.context or None) for r in arrays]
        taken = side_by_side({"rtcompile": in_turn(rank), **peers.calls(cut, ids)})
        ours = taken.pop("rtcompile")
        found.append(Latency(name, count, ours, taken, moved))
    return found
