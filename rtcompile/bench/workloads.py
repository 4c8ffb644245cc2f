"""Build a workload and measure it beside its peers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rtcompile
from rtcompile import runtime
from rtcompile.bench.latency import Latency, measure
from rtcompile.bench.lower_precision import CALIBRATION_ROWS, lower_precision, write_requests
from rtcompile.bench.peers import Peers
from rtcompile.bench.usual_stack import UsualStack
from rtcompile.files.scratch_folder import scratch_folder
from rtcompile.models.workloads.catalog import WORKLOADS
from rtcompile.models.workloads.design import Design, write
from rtcompile.models.workloads.scale import FULL, Scale

__all__ = ["Prepared", "bench_workload", "prepare"]


@dataclass(frozen=True)
class Prepared:
    """A workload, compiled and as it was, over the same items.

    `float32`: our own build of it beside one in lower precision.
    """

    design: Design
    ranker: runtime.Ranker
    usual: UsualStack
    float32: runtime.Ranker | None = None


def prepare(
    name: str,
    folder: Path,
    scale: Scale = FULL,
    seed: int = 0,
    progress: Callable[[str], None] = lambda step: None,
    quantize: str = "none",
) -> Prepared:
    """Write the workload's files into `folder`, build the artifact, and load the items."""
    design = WORKLOADS[name](scale, seed)
    progress("draw the weights")
    workload = write(design, folder)

    def ranker(file: str, **changes: Any) -> runtime.Ranker:
        options = rtcompile.BuildOptions(
            features=workload.features, embeddings=workload.tables, **changes
        )
        rtcompile.build(workload.model, options, output=folder / file, progress=progress)
        return runtime.load(folder / file)

    usual = UsualStack(workload.model, workload.features, workload.tables)
    float32 = ranker(f"{name}.rtc")
    prepared = Prepared(design, float32, usual)
    if quantize != "none":
        rows = write_requests(design, CALIBRATION_ROWS, folder / f"{name}.calibration.jsonl")
        lower = ranker(f"{name}.{quantize}.rtc", **lower_precision(quantize, rows))
        prepared = Prepared(design, lower, usual, float32)
        float32.items.upsert(design.items)
    for items in (prepared.ranker.items, usual):
        items.upsert(design.items)
    return prepared


def bench_workload(
    name: str,
    rows: Sequence[int],
    against: Sequence[str],
    progress: Callable[[str], None],
    say: Callable[[str], object],
    quantize: str = "none",
) -> list[Latency]:
    """Latencies at `rows`, or at the workload's own row counts where none are given."""
    with scratch_folder() as folder:
        prepared = prepare(name, folder, progress=progress, quantize=quantize)
        design = prepared.design
        progress("set the peers up")
        peers = Peers(prepared.usual, against, say, prepared.float32)
        progress("measure")
        items = design.items["item_id"]
        return measure(name, prepared.ranker, peers, design.requests, items, rows or design.rows)
