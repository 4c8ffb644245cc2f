"""Requests of the whole model, built without the records and with them, measured in turns."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

import runtime
from rtcompile.bench.graphs import onnx_graph
from rtcompile.bench.timing import side_by_side
from rtcompile.conductor import build
from rtcompile.features.config import load_config
from rtcompile.features.generate import generate_columns
from rtcompile.features.plan import FeaturePlan, Side
from rtcompile.options import BuildOptions
from rtcompile.tuning.report.history import EndToEnd

__all__ = ["measure_whole_model"]

_ROWS = (1, 100, 512)
_KEY = "\x00item"  # the column of the items' ids; no config names a column so

Call = Callable[[], object]


def measure_whole_model(
    model: Path, options: BuildOptions, progress: Callable[[str], None], rows: Sequence[int] = _ROWS
) -> list[EndToEnd]:
    """One comparison for each count of rows, on generated requests, one thread.

    `options.tuning_logs` has the records. This machine must be able to run the target. Raises what
    a build raises.
    """
    plan = load_config(Path(options.features)) if options.features else None
    with tempfile.TemporaryDirectory(prefix="rtcompile-") as folder:
        none = Path(folder) / "logs"
        none.mkdir()
        rankers = {}
        for name, logs in (("default", none), ("tuned", options.tuning_logs)):
            path = Path(folder) / f"{name}.rtc"
            progress(f"build the model with {name} kernels")
            build(model, replace(options, tuning_logs=logs, verify=False), output=path)
            rankers[name] = runtime.load(path)
        found = []
        for count in rows:
            progress(f"measure requests of {count} rows")
            calls = {name: _call(ranker, plan, model, count) for name, ranker in rankers.items()}
            taken = side_by_side(calls)
            label = f"{count} {'row' if plan is None else 'item'}{'s' if count > 1 else ''}"
            found.append(EndToEnd(label, taken["default"] / 1e6, taken["tuned"] / 1e6))
    return found


def _call(ranker: runtime.Ranker, plan: FeaturePlan | None, model: Path, count: int) -> Call:
    if plan is None:
        return partial(ranker.predict, onnx_graph(model).inputs(ranker, count))
    rng = np.random.default_rng(count)
    user, items, context = (
        generate_columns(plan, side, 1 if side is Side.USER else count, rng)
        for side in (Side.USER, Side.ITEM, Side.CONTEXT)
    )
    ids = [str(row) for row in range(count)]
    ranker.items.replace({**{n: list(v) for n, v in items.items()}, _KEY: ids}, key=_KEY)
    return partial(ranker.rank, {n: v[0] for n, v in user.items()}, ids, context or None)
