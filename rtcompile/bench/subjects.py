"""What is measured in several builds: a model, what fills its item table, and its requests."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import rtcompile
from rtcompile import runtime
from rtcompile.bench import movielens as demo
from rtcompile.bench.demo import ROWS, load_data
from rtcompile.bench.graphs import Graph, Say, graphs, is_zoo
from rtcompile.bench.lower_precision import CALIBRATION_ROWS, lower_precision, write_requests
from rtcompile.bench.peers import Call
from rtcompile.models.movielens.calibration import write_calibration
from rtcompile.models.movielens.examples import item_fields, requests
from rtcompile.models.workloads.catalog import WORKLOADS
from rtcompile.models.workloads.design import Request, write
from rtcompile.models.workloads.scale import FULL, Scale

__all__ = ["MOVIELENS", "Subject", "is_subject", "subjects"]

MOVIELENS = {f"movielens-{name}": name for name in demo.NAMES}


@dataclass(frozen=True)
class Subject:
    """`rows`: the counts to measure at. `calls`: (ranker, rows) -> a call a request.

    `calibrate` writes its requests to a file, as calibration data.
    """

    name: str
    model: Path
    options: rtcompile.BuildOptions
    rows: tuple[int, ...]
    fill: Callable[[runtime.Ranker], object]
    calls: Callable[[runtime.Ranker, int], list[Call]]
    calibrate: Callable[[Path], Path] | None = None

    def lowered(self, quantize: str, calibration: Path | None, folder: Path) -> Subject:
        """The same in lower precision, calibrated on its own requests where none are given."""
        if quantize == "none":
            return self
        if calibration is None and self.calibrate is not None:
            calibration = self.calibrate(folder / f"{self.name}.calibration.jsonl")
        changes = lower_precision(quantize, calibration)
        return replace(self, options=replace(self.options, **changes))

    def build(self, path: Path, progress: Say, **changes: Any) -> Path:
        """Build and verify the artifact `path`; `changes` are fields of BuildOptions."""
        options = replace(self.options, **changes)
        rtcompile.build(
            self.model,
            options,
            output=path,
            progress=lambda step: progress(f"{self.name}: {step}"),
        )
        return path

    def load(self, path: Path, threads: int = 1) -> runtime.Ranker:
        """The artifact with the items in its table."""
        ranker = runtime.load(path, threads)
        self.fill(ranker)
        return ranker


def is_subject(what: str) -> bool:
    """Whether `what` names something that can be built."""
    graph = what.endswith(".onnx") and Path(what).is_file()
    return what in MOVIELENS or what in WORKLOADS or is_zoo(what) or graph


def subjects(
    what: str, models: Sequence[str], folder: Path, progress: Say, scale: Scale = FULL
) -> Iterator[Subject]:
    """The subjects that `what` names: a workload, a model of the demo, graphs."""
    if what in MOVIELENS:
        yield _movielens(what)
    elif what in WORKLOADS:
        progress(f"{what}: drawing the weights")
        yield _workload(what, folder, scale)
    else:
        yield from map(_of_graph, graphs(what, models, folder, progress))


def _of_graph(graph: Graph) -> Subject:
    def calls(ranker: runtime.Ranker, rows: int) -> list[Call]:
        return [partial(ranker.predict, graph.inputs(ranker, rows))]

    rows = tuple(count for count in ROWS if count >= graph.fewest_rows)
    options = rtcompile.BuildOptions()
    return Subject(graph.name, graph.path, options, rows, lambda ranker: None, calls)


def _movielens(what: str) -> Subject:
    data, name = load_data(), MOVIELENS[what]
    table, found = item_fields(data), requests(data)

    def calls(ranker: runtime.Ranker, rows: int) -> list[Call]:
        fields = ranker.manifest["fields"]["user"]
        users = [Request({n: r.user[n] for n in fields}, {}) for r in found]
        return _ranked(ranker, users, table["item_id"], rows)

    options = rtcompile.BuildOptions(
        features=demo.FOLDER / f"fg_{name}.json", embeddings=demo.FOLDER / f"{name}.safetensors"
    )

    def calibrate(path: Path) -> Path:
        write_calibration(data, path, labels=False)
        return path

    def fill(ranker: runtime.Ranker) -> None:
        ranker.items.upsert(table)

    return Subject(what, demo.FOLDER / f"{name}.onnx", options, ROWS, fill, calls, calibrate)


def _workload(what: str, folder: Path, scale: Scale) -> Subject:
    design = WORKLOADS[what](scale, 0)
    files = write(design, folder)

    def calls(ranker: runtime.Ranker, rows: int) -> list[Call]:
        return _ranked(ranker, design.requests, design.items["item_id"], rows)

    options = rtcompile.BuildOptions(features=files.features, embeddings=files.tables)

    def fill(ranker: runtime.Ranker) -> None:
        ranker.items.upsert(design.items)

    def calibrate(path: Path) -> Path:
        return write_requests(design, CALIBRATION_ROWS, path)

    return Subject(what, files.model, options, design.rows, fill, calls, calibrate)


def _ranked(
    ranker: runtime.Ranker, given: Sequence[Request], items: Sequence[str], rows: int
) -> list[Call]:
    """Of values of their own, which no other thread's requests share: so a service gets them."""
    ids = (list(items) * (rows // len(items) + 1))[:rows]
    cut = [request.of(rows).arrays() for request in given]
    own, ids = pickle.loads(pickle.dumps((cut, ids)))
    return [partial(ranker.rank, r.user, ids, r.context or None) for r in own]
