"""Build a workload and measure it beside its peers."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import rtcompile
import runtime
from models.workloads.catalog import WORKLOADS
from models.workloads.design import Design, write
from models.workloads.scale import FULL, Scale
from rtcompile.bench.latency import Latency, measure
from rtcompile.bench.peers import Peers
from rtcompile.bench.usual_stack import UsualStack

__all__ = ["Prepared", "bench_workload", "prepare"]


@dataclass(frozen=True)
class Prepared:
    """A workload, compiled and as it was, over the same items."""

    design: Design
    ranker: runtime.Ranker
    usual: UsualStack


def prepare(
    name: str,
    folder: Path,
    scale: Scale = FULL,
    seed: int = 0,
    progress: Callable[[str], None] = lambda step: None,
) -> Prepared:
    """Write the workload's files into `folder`, build the artifact, and load the items."""
    design = WORKLOADS[name](scale, seed)
    progress("draw the weights")
    workload = write(design, folder)
    artifact = folder / f"{name}.rtc"
    options = rtcompile.BuildOptions(features=workload.features, embeddings=workload.tables)
    rtcompile.build(workload.model, options, output=artifact, progress=progress)
    ranker = runtime.load(artifact)
    usual = UsualStack(workload.model, workload.features, workload.tables)
    for items in (ranker.items, usual):
        items.upsert(design.items)
    return Prepared(design, ranker, usual)


def bench_workload(
    name: str,
    rows: Sequence[int],
    against: Sequence[str],
    progress: Callable[[str], None],
    say: Callable[[str], object],
) -> list[Latency]:
    """Latencies at `rows`, or at the workload's own row counts where none are given."""
    with tempfile.TemporaryDirectory(prefix="rtcompile-") as folder:
        prepared = prepare(name, Path(folder), progress=progress)
        design = prepared.design
        progress("set the peers up")
        peers = Peers(prepared.usual, against, say)
        progress("measure")
        items = design.items["item_id"]
        return measure(name, prepared.ranker, peers, design.requests, items, rows or design.rows)
