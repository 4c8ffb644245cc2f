"""Requests to whole artifacts, one with default configs and one with others, measured in turns."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import runtime
from rtcompile.bench.graphs import onnx_graph
from rtcompile.features.config import load_config
from rtcompile.features.generate import generate_columns
from rtcompile.features.plan import ITEM_KEY, FeaturePlan, Side
from rtcompile.tuning.trials import Outcome

__all__ = ["Requests", "time_requests"]

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
    logarithms: list[list[float]] = []
    for rows in _ROWS:
        calls = [requests.call(ranker, rows) for ranker in rankers]
        wrong = _difference(calls)
        if wrong:
            return Outcome(None, f"wrong: {wrong}")
        logarithms.append([math.log(seconds) for seconds in _in_turns(calls)])
    means = [math.exp(statistics.fmean(found)) for found in zip(*logarithms, strict=True)]
    return Outcome(means[0], "", means[-1])


def _difference(calls: Sequence[Call]) -> str:
    got, want = calls[0](), calls[-1]()
    for name, scores in want.items():
        if not np.allclose(got[name], scores, rtol=0, atol=_TOLERANCE, equal_nan=True):
            return f"{name!r} is not what the default gives"
    return ""


def _in_turns(calls: Sequence[Call]) -> list[float]:
    """Median seconds of each: time of this thread, not of whoever else has the core."""
    repeats = [max(1, int(_TURN_SECONDS / max(_seconds(call, 1), 1e-7))) for call in calls]
    taken: list[list[float]] = [[] for _ in calls]
    for _ in range(_TURNS):
        for call, count, times in zip(calls, repeats, taken, strict=True):
            times.append(_seconds(call, count))
    return [statistics.median(times) for times in taken]


def _seconds(call: Call, repeats: int) -> float:
    begin = time.thread_time()
    for _ in range(repeats):
        call()
    return (time.thread_time() - begin) / repeats
