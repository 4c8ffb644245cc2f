"""Raw-to-score latency of a ranker beside its peers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from typing import Any

import runtime
from rtcompile.bench.timing import side_by_side
from rtcompile.bench.usual_stack import UsualStack

__all__ = ["PEERS", "Latency", "measure"]

PEERS = ("usual-stack", "onnxruntime")


@dataclass(frozen=True)
class Latency:
    """Median microseconds a request of `rows` items: ours, and each peer's."""

    model: str
    rows: int
    microseconds: float
    peers: Mapping[str, float]

    def ratios(self) -> dict[str, float]:
        """How many times as long each peer takes."""
        return {name: taken / self.microseconds for name, taken in self.peers.items()}


def measure(
    name: str,
    ranker: runtime.Ranker,
    usual: UsualStack,
    users: Sequence[Mapping[str, Any]],
    items: Sequence[str],
    rows: Sequence[int],
    against: Sequence[str],
) -> list[Latency]:
    """Rank the first `n` of `items` for each of `users` in turn. Models without context fields.

    "usual-stack" goes from raw fields to scores, as the ranker does; "onnxruntime" is its network
    alone, on inputs that were prepared before.
    """
    found = []
    for count in rows:
        ids = list(items[:count])
        if len(ids) < count:
            ids = (ids * (count // max(len(ids), 1) + 1))[:count]
        prepared = usual.inputs(users[0], ids)
        calls: dict[str, Callable[[], object]] = {
            "rtcompile": _in_turn(ranker.rank, users, ids),
            "usual-stack": _in_turn(usual.rank, users, ids),
            "onnxruntime": partial(usual.session.run, None, prepared),
        }
        taken = side_by_side({n: c for n, c in calls.items() if n in ("rtcompile", *against)})
        ours = taken.pop("rtcompile")
        found.append(Latency(name, count, ours, taken))
    return found


def _in_turn(
    rank: Callable[[Mapping[str, Any], Sequence[str]], object],
    users: Sequence[Mapping[str, Any]],
    items: Sequence[str],
) -> Callable[[], object]:
    """Calls with one user after another, so that no cache holds all that a request reads."""
    turn = cycle(users)
    return lambda: rank(next(turn), items)
