"""Measurements as tables. They fit a terminal of 80 columns with every peer there is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from rtcompile.bench.ablation import Ablation
    from rtcompile.bench.features import FeatureTiming
    from rtcompile.bench.latency import Latency
    from rtcompile.bench.profile import RequestProfile
    from rtcompile.bench.threads import Throughput
    from rtcompile.bench.tuned import Tuned


__all__ = [
    "ablation_table",
    "feature_table",
    "latency_table",
    "profile_tables",
    "summary",
    "throughput_table",
    "tuned_tables",
]

# Where a header may be cut, where the columns do not fit side by side.
_CUT = {
    "rtcompile": "rt-\ncompile",
    "usual-stack": "usual-\nstack",
    "tensorflow": "tensor-\nflow",
    "onnxruntime": "onnx-\nruntime",
    "requests/s": "req/s",
}
_WIDTH = 80
_KERNELS = 15  # that a profile shows


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
    with_moved = any(latency.moved is not None for latency in found)
    last = (["best"] if with_best else []) + (["largest diff"] if with_moved else [])
    for name in ("rows" if graphs else "items", "rtcompile", "requests/s", *peers, *last):
        table.add_column(cut.get(name, name), justify="right", no_wrap=True)
    for latency in found:
        cells = [f"{latency.microseconds:,.0f}", f"{latency.requests_per_second:,.0f}"]
        cells += [_of_peer(latency, peer, between) for peer in peers]
        if with_best:
            cells.append("-" if latency.best_ratio is None else f"{latency.best_ratio:.2f}x")
        if with_moved:
            cells.append("-" if latency.moved is None else f"{latency.moved:.1e}")
        table.add_row(latency.model, str(latency.rows), *cells)
    return table


def _of_peer(latency: Latency, peer: str, between: str) -> str:
    if peer not in latency.peers:
        return "-"
    return f"{latency.peers[peer]:,.0f}{between}({latency.ratios()[peer]:.2f}x)"


def summary(latencies: Sequence[Latency]) -> list[str]:
    """A line a peer, and one of the best of them: geometric mean and minimum of the ratios. And the
    longest build."""
    peers = _peers(latencies)
    lines = []
    for peer in peers:
        ratios = {_name(one): one.ratios()[peer] for one in latencies if peer in one.peers}
        lines.append(f"against {peer}: {_of_ratios(ratios)}")
    best = {_name(one): one.best_ratio for one in latencies if one.best_ratio is not None}
    if len(peers) > 1:
        lines.append(f"against the best of them: {_of_ratios(best)}")
    builds = {one.model: one.build_seconds for one in latencies if one.build_seconds is not None}
    if builds:
        slowest = max(builds, key=lambda name: builds[name])
        lines.append(f"longest build, with verification: {builds[slowest]:.1f} s ({slowest})")
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


def throughput_table(throughputs: Iterable[Throughput]) -> Table:
    """Requests a second of one thread and of several, and how many times as many of these."""
    found = list(throughputs)
    table = _narrow("requests a second, median of rounds in turns", 1)
    table.add_column("model", overflow="fold")
    threads = found[0].threads if found else 0
    several, apart = f"{threads} threads", f"{threads} processes"
    for name in ("rows", "1 thread", several, "ratio", apart, "one request shared"):
        table.add_column(name, justify="right")
    for one in found:
        ratios = [f"{ratio:.2f}x" for ratio in (one.ratio, one.processes, one.shared)]
        table.add_row(one.model, str(one.rows), f"{one.one:,.0f}", f"{one.all:,.0f}", *ratios)
    return table


def ablation_table(ablations: Iterable[Ablation]) -> Table:
    """Microseconds a request, and how many times as long it takes without each part."""
    found = list(ablations)
    table = _narrow("one core, median µs a request, and without a part", 1)
    table.add_column("model", overflow="fold")
    parts = list(dict.fromkeys(part for one in found for part in one.without))
    for name in ("rows", "rtcompile", *parts):
        table.add_column(name, justify="right")
    for one in found:
        cells = [f"{one.without[p]:,.0f} ({one.without[p] / one.microseconds:.2f}x)" for p in parts]
        table.add_row(one.model, str(one.rows), f"{one.microseconds:,.0f}", *cells)
    return table


def tuned_tables(found: Sequence[Tuned]) -> list[Table]:
    """One table: microseconds a request by default configs and tuned, and where configs are of."""
    table = _narrow("one core, median µs a request, default and tuned kernels", 1)
    table.add_column("model", overflow="fold")
    table.add_column("target", overflow="fold")
    for name in ("rows", "default", "tuned", "gain", "kernels"):
        table.add_column(name, justify="right")
    for one in found:
        times = f"{one.default:,.1f}", f"{one.tuned:,.1f}", f"{one.default / one.tuned:.2f}x"
        kernels = "+".join(map(str, one.kernels))
        table.add_row(one.model, one.target, str(one.rows), *times, kernels)
    table.caption = "kernels: tuned + reused + defaulted"
    return [table]


def profile_tables(profiles: Iterable[RequestProfile]) -> list[Table]:
    """Two tables a profile: by stage, and by kernel."""
    return [table for one in profiles for table in (_by_stage(one), _by_kernel(one))]


def _by_stage(profile: RequestProfile) -> Table:
    title = f"{profile.model}, {profile.rows} rows: {profile.microseconds:,.0f} µs a request"
    table = _narrow(title, 1)
    table.add_column("stage")
    for name in ("µs", "share"):
        table.add_column(name, justify="right")
    for name, taken in profile.stages.items():
        table.add_row(name, f"{taken:,.1f}", f"{taken / profile.microseconds:.1%}")
    return table


def _by_kernel(profile: RequestProfile) -> Table:
    shown = profile.kernels[:_KERNELS]
    table = _narrow(f"its {len(shown)} longest kernels of {len(profile.kernels)}", 1)
    table.add_column("stage")
    table.add_column("kernel", overflow="fold")
    for name in ("calls", "ns a call", "µs", "share"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in shown:
        micros = one.nanoseconds / 1e3
        each = one.nanoseconds / max(one.calls, 1)
        figures = f"{each:,.0f}", f"{micros:,.1f}", f"{micros / profile.microseconds:.1%}"
        table.add_row(one.stage, one.kernel, f"{one.calls:,}", *figures)
    return table
