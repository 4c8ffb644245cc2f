"""Requests of the whole model, built without the records and with them, measured in turns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from rtcompile import runtime
from rtcompile.codegen.program.trials import Outcome
from rtcompile.driver import build
from rtcompile.files.scratch_folder import scratch_folder
from rtcompile.options import BuildOptions
from rtcompile.tuning.report.history import EndToEnd
from rtcompile.tuning.requests import Requests, time_in_turns

__all__ = ["measure_whole_model"]

_ROWS = (1, 100, 512)
_TURNS = 25


def measure_whole_model(
    model: Path, options: BuildOptions, progress: Callable[[str], None], rows: Sequence[int] = _ROWS
) -> list[EndToEnd]:
    """One comparison for each count of rows, on generated requests, one thread.

    `options.tuning_logs` has the records. This machine must be able to run the target. Raises what
    a build raises.
    """
    features = Path(options.features) if options.features else None
    requests = Requests(model, features)
    with scratch_folder() as folder:
        none = folder / "logs"
        none.mkdir()
        rankers = {}
        for name, logs in (("default", none), ("tuned", options.tuning_logs)):
            path = folder / f"{name}.rtc"
            progress(f"build the model with {name} kernels")
            build(model, replace(options, tuning_logs=logs, verify=False), output=path)
            rankers[name] = runtime.load(path)
        found = []
        for count in rows:
            progress(f"measure requests of {count} rows")
            calls = [requests.call(rankers[name], count) for name in ("tuned", "default")]
            taken = time_in_turns(calls, _TURNS)
            label = f"{count} {'row' if features is None else 'item'}{'s' if count > 1 else ''}"
            found.append(end_to_end(label, taken))
    return found


def end_to_end(label: str, outcome: Outcome) -> EndToEnd:
    """The comparison that an outcome of the tuned model is, in turns with the default."""
    assert outcome.seconds and outcome.default_seconds  # requests that fail raise
    return EndToEnd(label, outcome.default_seconds, outcome.seconds, outcome.spread or 0.0)
