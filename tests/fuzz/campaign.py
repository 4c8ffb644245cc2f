"""Build graphs side by side, hold them to the judges, and find the one that fails.

    python -m tests.fuzz.campaign --first 0 --graphs 20000

says after each build how far it is, and of each failure the seed and the smallest graph. A graph is
its seed: `--first SEED --graphs 1` runs it again, and a campaign goes on with the seed that it
stopped at. `--dtypes float32,float64,int8,uint8,bool` draws other graphs: types are part of a seed.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import numpy.typing as npt
import onnx

import runtime
from rtcompile import BuildOptions, build
from rtcompile.errors import RtcompileError
from tests.fuzz.draw import ROWS, draw_graph, draw_inputs
from tests.fuzz.graph import DTYPES, Graph, model_of
from tests.fuzz.judge import Judges, disagreement

__all__ = ["Campaign", "Failure", "graph_of", "run_graphs"]

_A_BUILD = 40

Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Failure:
    """A graph that disagrees, or whose build raised what is no RtcompileError."""

    seed: int
    reason: str
    graph: str

    def __str__(self) -> str:
        return f"seed {self.seed}: {self.reason}\n{self.graph}"


@dataclass
class Campaign:
    """What was seen. `refused`: reasons of graphs that a build names."""

    graphs: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)


def graph_of(seed: int, dtypes: tuple[str, ...] = DTYPES) -> Graph:
    """The graph that a seed stands for."""
    return draw_graph(Random(seed), f"g{seed}_", dtypes)


def run_graphs(seeds: Sequence[int], campaign: Campaign, dtypes: tuple[str, ...] = DTYPES) -> None:
    """Build the graphs of all seeds in one, or in halves where that fails."""
    graphs = {seed: graph_of(seed, dtypes) for seed in seeds}
    with tempfile.TemporaryDirectory(prefix="rtcompile-fuzz-") as folder:
        _run(graphs, campaign, Path(folder))


def _run(graphs: dict[int, Graph], campaign: Campaign, folder: Path) -> None:
    try:
        scores = _scores(_built(list(graphs.values()), folder), graphs)
    except Exception as error:
        if len(graphs) > 1:
            seeds = list(graphs)
            for part in (seeds[: len(seeds) // 2], seeds[len(seeds) // 2 :]):
                _run({seed: graphs[seed] for seed in part}, campaign, folder)
            return
        ((seed, graph),) = graphs.items()
        campaign.graphs += 1
        if isinstance(error, RtcompileError):
            campaign.refused[_short(error)] += 1
        else:
            what = "".join(traceback.format_exception_only(error)).strip()[-600:]
            campaign.failures.append(Failure(seed, what, onnx.printer.to_text(graph.model())))
        return
    for seed, graph in graphs.items():
        campaign.graphs += 1
        reason = _disagreement(seed, graph, scores)
        if reason:
            text = onnx.printer.to_text(graph.model())
            campaign.failures.append(Failure(seed, reason, text))


def _short(error: RtcompileError) -> str:
    text = str(error).splitlines()[-1]
    return text[-160:]


def _built(graphs: list[Graph], folder: Path) -> runtime.Ranker:
    onnx.save(model_of(graphs), str(folder / "m.onnx"))
    output = Path(tempfile.mkdtemp(dir=folder)) / "m.rtc"
    (folder / "no logs").mkdir(exist_ok=True)  # to read them takes longer than a small build
    options = BuildOptions(verify=False, tuning_logs=folder / "no logs")
    with contextlib.redirect_stderr(io.StringIO()):
        build(folder / "m.onnx", options, output=output)
    return runtime.load(output)


def _scores(ranker: runtime.Ranker, graphs: dict[int, Graph]) -> dict[int, Arrays]:
    """The outputs of all graphs, by the count of rows."""
    found: dict[int, Arrays] = {}
    for rows in ROWS:
        given: Arrays = {}
        for seed, graph in graphs.items():
            given |= _inputs(graph, rows, seed)
        found[rows] = ranker.predict(given)
    return found


def _inputs(graph: Graph, rows: int, seed: int) -> Arrays:
    return draw_inputs(graph, rows, seed * len(ROWS) + rows)


def _disagreement(seed: int, graph: Graph, scores: dict[int, Arrays]) -> str:
    judges = Judges(graph.model(), graph.steps())
    for rows in ROWS:
        given = _inputs(graph, rows, seed)
        found, scale = judges.outputs(given), judges.scale(given)
        if not found:
            return ""
        for index, value in enumerate(graph.outputs):
            theirs, got = [f[index] for f in found], scores[rows][value.name]
            reason = disagreement(got, theirs, value.dtype, scale, judges.overflows(scale))
            if reason:
                return f"{value.name} at {rows} rows: {reason}"
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--graphs", type=int, default=20000)
    parser.add_argument("--a-build", type=int, default=_A_BUILD)
    parser.add_argument("--dtypes", default=",".join(DTYPES))
    args = parser.parse_args()
    dtypes = tuple(args.dtypes.split(","))
    campaign, start = Campaign(), time.monotonic()
    for first in range(args.first, args.first + args.graphs, args.a_build):
        known = len(campaign.failures)
        seeds = range(first, min(first + args.a_build, args.first + args.graphs))
        run_graphs(seeds, campaign, dtypes)
        for failure in campaign.failures[known:]:
            print(failure, flush=True)
        seconds = time.monotonic() - start
        print(
            f"seed {first}: {campaign.graphs} graphs, {len(campaign.failures)} failures, "
            f"{sum(campaign.refused.values())} refused, {seconds / campaign.graphs:.2f} s a graph",
            flush=True,
        )
    for reason, count in campaign.refused.most_common():
        print(f"{count} refused: {reason}")
    return 1 if campaign.failures else 0


if __name__ == "__main__":
    sys.exit(main())
