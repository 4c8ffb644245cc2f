"""Measurements as tables. They fit a terminal of 80 columns with every peer there is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from rtcompile.bench.features import FeatureTiming
from rtcompile.bench.latency import Latency

__all__ = ["feature_table", "latency_table", "summary"]

# Where a header may be cut, where the columns do not fit side by side.
_CUT = {
    "rtcompile": "rt-\ncompile",
    "usual-stack": "usual-\nstack",
    "tensorflow": "tensor-\nflow",
    "onnxruntime": "onnx-\nruntime",
    "requests/s": "req/s",
}
_WIDTH = 80


def _narrow(title: str, gap: int) -> Table:
    padding = (0, gap, 0, 0)
    return Table(title=title, box=box.SIMPLE_HEAD, padding=padding, title_justify="left")


def _peers(latencies: Iterable[Latency]) -> list[str]:
    return list(dict.fromkeys(peer for latency in latencies for peer in latency.peers))


def latency_table(latencies: Iterable[Latency], graphs: bool = False) -> Table:
    """Microseconds a request, and how many times as long each peer takes.

    `graphs`: of graphs on their own, whose peers all do the same; the best of them has a column.
    """
    found = list(latencies)
    wide = _latency_table(found, graphs, " ", {})
    if Console(width=_WIDTH * 4).measure(wide).maximum <= _WIDTH:
        return wide
    return _latency_table(found, graphs, "\n", _CUT)


def _latency_table(
    found: Sequence[Latency], graphs: bool, between: str, cut: Mapping[str, str]
) -> Table:
    peers = _peers(found)
    what = "inputs" if graphs else "raw fields"
    table = _narrow(f"{what} to scores, one core, median µs a request", 0 if cut else 1)
    table.add_column("model", overflow="fold")
    with_best = graphs and len(peers) > 1
    last = ["best"] if with_best else []
    for name in ("rows" if graphs else "items", "rtcompile", "requests/s", *peers, *last):
        table.add_column(cut.get(name, name), justify="right", no_wrap=True)
    for latency in found:
        cells = [f"{latency.microseconds:,.0f}", f"{latency.requests_per_second:,.0f}"]
        cells += [_of_peer(latency, peer, between) for peer in peers]
        if with_best:
            cells.append("-" if latency.best_ratio is None else f"{latency.best_ratio:.2f}x")
        table.add_row(latency.model, str(latency.rows), *cells)
    return table


def _of_peer(latency: Latency, peer: str, between: str) -> str:
    if peer not in latency.peers:
        return "-"
    return f"{latency.peers[peer]:,.0f}{between}({latency.ratios()[peer]:.2f}x)"


def summary(latencies: Sequence[Latency]) -> list[str]:
    """A line a peer, and one of the best of them: geometric mean and minimum of the ratios."""
    peers = _peers(latencies)
    lines = []
    for peer in peers:
        ratios = {_name(one): one.ratios()[peer] for one in latencies if peer in one.peers}
        lines.append(f"against {peer}: {_of_ratios(ratios)}")
    best = {_name(one): one.best_ratio for one in latencies if one.best_ratio is not None}
    if len(peers) > 1:
        lines.append(f"against the best of them: {_of_ratios(best)}")
    return lines


def _name(latency: Latency) -> str:
    return f"{latency.model} at {latency.rows}"


def _of_ratios(ratios: dict[str, float]) -> str:
    mean = float(np.exp(np.mean(np.log(list(ratios.values())))))
    worst = min(ratios, key=lambda name: ratios[name])
    return f"geometric mean {mean:.2f}x of {len(ratios)}, lowest {ratios[worst]:.2f}x ({worst})"


def feature_table(timings: Iterable[FeatureTiming]) -> Table:
    """Nanoseconds a value, and how many times as long each peer takes."""
    rows = list(timings)
    peers = list(rows[0].peers) if rows else []
    table = Table("feature", "of a", "rtcompile, ns", *[f"{peer}, ns" for peer in peers])
    for timing in rows:
        cells = [
            "-" if taken is None else f"{taken:,.1f} ({taken / timing.rtcompile:.1f}x)"
            for taken in timing.peers.values()
        ]
        table.add_row(timing.name, timing.unit, f"{timing.rtcompile:,.1f}", *cells)
    return table
