"""Build graphs side by side in one model, and hold each to its judges."""

from __future__ import annotations

import contextlib
import io
import tempfile
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt
import onnx

from rtcompile import BuildOptions, build, runtime
from rtcompile.errors import RtcompileError
from tests.fuzz.draw import ROWS, draw_inputs
from tests.fuzz.graph import Graph, model_of, prefix_of
from tests.fuzz.judge import Judges, disagreement

__all__ = ["Verdict", "judged"]

Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Verdict:
    """Of a graph: why it was refused, or what failed: how it disagrees, or an error that is no
    RtcompileError. Both are "" for one that agrees."""

    refused: str = ""
    failed: str = ""


def judged(graphs: Sequence[Graph]) -> list[Verdict]:
    """The verdict on each, from one build of all, or from builds of halves where that fails."""
    with tempfile.TemporaryDirectory(prefix="rtcompile-fuzz-") as folder:
        return _judged(graphs, Path(folder))


def _judged(graphs: Sequence[Graph], folder: Path) -> list[Verdict]:
    try:
        scores = _scores(_built(graphs, folder), graphs)
    except Exception as error:
        if len(graphs) > 1:
            half = len(graphs) // 2
            return _judged(graphs[:half], folder) + _judged(graphs[half:], folder)
        if isinstance(error, RtcompileError):
            return [Verdict(refused=str(error).splitlines()[-1])]
        return [Verdict(failed="".join(traceback.format_exception_only(error)).strip()[-600:])]
    return [
        Verdict(failed=_disagreement(graph, scores, prefix_of(place)))
        for place, graph in enumerate(graphs)
    ]


def _built(graphs: Sequence[Graph], folder: Path) -> runtime.Ranker:
    onnx.save(model_of(graphs), str(folder / "m.onnx"))
    output = Path(tempfile.mkdtemp(dir=folder)) / "m.rtc"
    (folder / "no logs").mkdir(exist_ok=True)  # to read them takes longer than a small build
    options = BuildOptions(verify=False, tuning_logs=folder / "no logs")
    with contextlib.redirect_stderr(io.StringIO()):
        build(folder / "m.onnx", options, output=output)
    return runtime.load(output)


def _scores(ranker: runtime.Ranker, graphs: Sequence[Graph]) -> dict[int, Arrays]:
    """The outputs of all graphs, by the count of rows."""
    found: dict[int, Arrays] = {}
    for rows in ROWS:
        given: Arrays = {}
        for place, graph in enumerate(graphs):
            drawn = draw_inputs(graph, rows)
            given |= {prefix_of(place) + name: array for name, array in drawn.items()}
        found[rows] = ranker.predict(given)
    return found


def _disagreement(graph: Graph, scores: dict[int, Arrays], prefix: str) -> str:
    """Of the first count of rows and output that differ; "" where none does."""
    judges = Judges(graph)
    for rows in ROWS:
        given = draw_inputs(graph, rows)
        found, scale = judges.outputs(given), judges.scale(given)
        if not found:
            return ""
        overflows = judges.overflows(scale)
        for index, value in enumerate(graph.outputs):
            theirs, got = [f[index] for f in found], scores[rows][prefix + value.name]
            reason = disagreement(got, theirs, value.dtype, scale, overflows)
            if reason:
                rounded = [f[index] for f in judges.rounded_elsewhere(given)]
                reason = disagreement(got, theirs, value.dtype, scale, overflows, rounded)
            if reason:
                return f"{value.name} at {rows} rows: {reason}"
    return ""
