"""Requests to whole artifacts, one with default configs and one with others, measured in turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rtcompile import runtime
from rtcompile.bench.graphs import onnx_graph
from rtcompile.codegen.program.trials import Outcome
from rtcompile.features.config.parse_config import load_config
from rtcompile.features.generate import generate_columns
from rtcompile.features.plan import ITEM_KEY, FeaturePlan, Side
from rtcompile.tuning.turns import in_turns, outcome_of

__all__ = ["Requests", "time_in_turns", "time_requests"]

_ROWS = (100, 512)  # of the requests that a trial is timed with
_TURNS, _TURN_SECONDS = 9, 0.02
_TOLERANCE = 1e-4

Call = Callable[[], Mapping[str, npt.NDArray[Any]]]


@dataclass(frozen=True)
class Requests:
    """Generated requests of a model, with its feature config if it has one."""

    model: Path
    features: Path | None = None

    def call(self, ranker: runtime.Ranker, rows: int) -> Call:
        """A request of so many rows; the items are put into the ranker's table."""
        if self.features is None:
            return partial(ranker.predict, onnx_graph(self.model).inputs(ranker, rows))
        return _ranking_call(ranker, load_config(self.features), rows)


def _ranking_call(ranker: runtime.Ranker, plan: FeaturePlan, rows: int) -> Call:
    rng = np.random.default_rng(rows)
    user, items, context = (
        generate_columns(plan, side, 1 if side is Side.USER else rows, rng)
        for side in (Side.USER, Side.ITEM, Side.CONTEXT)
    )
    ids = [str(row) for row in range(rows)]
    ranker.items.replace({**{n: list(v) for n, v in items.items()}, ITEM_KEY: ids}, key=ITEM_KEY)
    return partial(ranker.rank, {n: v[0] for n, v in user.items()}, ids, context or None)


def time_requests(candidate: Path, default: Path | None, requests: Requests) -> Outcome:
    """The geometric mean of the seconds of requests of 100 and of 512 rows, one thread.

    In turns with the default artifact, which must give the same scores; alone where there is none.
    """
    paths = [candidate] if default is None else [candidate, default]
    rankers = [runtime.load(path) for path in paths]
    outcomes: list[Outcome] = []
    for rows in _ROWS:
        calls = [requests.call(ranker, rows) for ranker in rankers]
        wrong = _difference(calls)
        if wrong:
            return Outcome(None, f"wrong: {wrong}")
        outcomes.append(time_in_turns(calls))
    seconds = [statistics.geometric_mean(o.seconds or 0 for o in outcomes)]
    seconds.append(statistics.geometric_mean(o.default_seconds or 0 for o in outcomes))
    return Outcome(seconds[0], "", seconds[1], max(o.spread or 0 for o in outcomes))


def _difference(calls: Sequence[Call]) -> str:
    got, want = calls[0](), calls[-1]()
    for name, scores in want.items():
        if not np.allclose(got[name], scores, rtol=0, atol=_TOLERANCE, equal_nan=True):
            return f"{name!r} is not what the default gives"
    return ""


def time_in_turns(calls: Sequence[Callable[[], object]], turns: int = _TURNS) -> Outcome:
    """Of the first beside the last: time of this thread, not of whoever else has the core."""
    repeats = [max(1, int(_TURN_SECONDS / max(_seconds(call, 1), 1e-7))) for call in calls]
    timed = [partial(_seconds, call, count) for call, count in zip(calls, repeats, strict=True)]
    return outcome_of(in_turns(timed, turns))


def _seconds(call: Callable[[], object], repeats: int) -> float:
    begin = time.thread_time()
    for _ in range(repeats):
        call()
    return (time.thread_time() - begin) / repeats
