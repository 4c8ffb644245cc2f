"""`rtcompile demo`: two real models, from raw rows to scores, beside the usual stack."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table

from rtcompile import runtime
from rtcompile.bench.latency import Latency, measure
from rtcompile.bench.movielens import (
    NAMES,
    Comparison,
    Prepared,
    compare,
    prepare,
)
from rtcompile.bench.peers import Peers
from rtcompile.bench.tables import latency_table
from rtcompile.command.console import console, output
from rtcompile.errors import NetworkError
from rtcompile.files.scratch_folder import scratch_folder
from rtcompile.models.movielens.data import Interactions, load, synthetic
from rtcompile.models.workloads.design import Request

__all__ = ["ROWS", "bench_models", "load_data", "run_demo"]

ROWS = (1, 100, 512)


def load_data() -> Interactions:
    """MovieLens-100K; where it cannot be fetched, says so and gives the synthetic sample."""
    try:
        with console.status("fetching MovieLens-100K"):
            return load()
    except NetworkError as error:
        console.print(f"[yellow]{error}\nGoing on with a synthetic sample instead.[/yellow]")
        return synthetic()


def run_demo(keep: Path | None, embedding_dtype: str = "fp32", quantize: str = "none") -> None:
    """Build, rank the test period's requests, print the comparison and the latencies."""
    data = load_data()
    with scratch_folder() as folder:
        target = keep or folder
        target.mkdir(parents=True, exist_ok=True)
        prepared = [_prepare(name, data, target, embedding_dtype, quantize) for name in NAMES]
        with console.status("ranking the test period"):
            compared = [compare(one) for one in prepared]
        with console.status("measuring"):
            latencies = [latency for one in prepared for latency in bench_models(one)]
    output.print(_comparison_table(compared, data.source))
    output.print(latency_table(latencies))
    output.print(
        "usual-stack: features in Python, network in ONNX Runtime. onnxruntime: its network alone, "
        "on features made before."
    )


def bench_models(
    prepared: Prepared,
    rows: tuple[int, ...] = ROWS,
    against: tuple[str, ...] = ("usual-stack", "onnxruntime"),
    float32: runtime.Ranker | None = None,
) -> list[Latency]:
    """Latencies of one model over its test requests' users. `float32`: see `Peers`."""
    requests = [Request(request.user, {}) for request in prepared.requests]
    peers = Peers(prepared.usual, against, console.print, float32)
    return measure(prepared.name, prepared.ranker, peers, requests, prepared.items, rows)


def _prepare(
    name: str, data: Interactions, folder: Path, embedding_dtype: str, quantize: str
) -> Prepared:
    with console.status(f"{name}: starting") as status:
        return prepare(
            name,
            data,
            folder,
            progress=lambda step: status.update(f"{name}: {step}"),
            embedding_dtype=embedding_dtype,
            quantize=quantize,
        )


def _comparison_table(compared: list[Comparison], source: str) -> Table:
    table = Table(title=f"{source}, the last tenth in time")
    for name in ("model", "requests", "pairs", "AUC original", "AUC compiled", "largest diff"):
        table.add_column(name, justify="left" if name == "model" else "right")
    for one in compared:
        table.add_row(
            one.name,
            str(one.requests),
            str(one.pairs),
            f"{one.original_auc:.6f}",
            f"{one.compiled_auc:.6f}",
            f"{one.largest_difference:.1e}",
        )
    return table
