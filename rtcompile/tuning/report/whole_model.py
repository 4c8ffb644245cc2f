"""Requests of the whole model, built without the records and with them, measured in turns."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import runtime
from rtcompile.bench.timing import side_by_side
from rtcompile.conductor import build
from rtcompile.options import BuildOptions
from rtcompile.tuning.report.history import EndToEnd
from rtcompile.tuning.requests import Requests

__all__ = ["measure_whole_model"]

_ROWS = (1, 100, 512)


def measure_whole_model(
    model: Path, options: BuildOptions, progress: Callable[[str], None], rows: Sequence[int] = _ROWS
) -> list[EndToEnd]:
    """One comparison for each count of rows, on generated requests, one thread.

    `options.tuning_logs` has the records. This machine must be able to run the target. Raises what
    a build raises.
    """
    features = Path(options.features) if options.features else None
    requests = Requests(model, features)
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
            calls = {name: requests.call(ranker, count) for name, ranker in rankers.items()}
            taken = side_by_side(calls)
            label = f"{count} {'row' if features is None else 'item'}{'s' if count > 1 else ''}"
            found.append(EndToEnd(label, taken["default"] / 1e6, taken["tuned"] / 1e6))
    return found
