"""`rtcompile bench`: the demo's models, a workload, graphs, an artifact, or the features."""

from __future__ import annotations

import difflib
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from rtcompile import runtime
from rtcompile.bench.bench_options import BenchOptions
from rtcompile.bench.demo import ROWS, bench_models, load_data
from rtcompile.bench.embeddings import lookup_table, time_lookups
from rtcompile.bench.features import time_features, time_stage
from rtcompile.bench.graphs import ENGINES, LOWER_ENGINES, bench_graph, graphs, is_zoo
from rtcompile.bench.latency import Latency
from rtcompile.bench.lower_precision import lower_precision
from rtcompile.bench.modes import run_mode, write_figures
from rtcompile.bench.movielens import prepare
from rtcompile.bench.peers import PEERS
from rtcompile.bench.subjects import MOVIELENS, is_subject
from rtcompile.bench.tables import feature_table, latency_table, summary
from rtcompile.bench.timing import side_by_side
from rtcompile.bench.workloads import bench_workload
from rtcompile.command.console import console, output
from rtcompile.errors import DataError, UnsupportedError
from rtcompile.files.scratch_folder import scratch_folder
from rtcompile.models.workloads.catalog import WORKLOADS
from rtcompile.options import BuildOptions

__all__ = ["run_bench"]

_DEMO_PEERS = ("usual-stack", "onnxruntime")


def run_bench(what: str | None, options: BenchOptions) -> None:
    """Print the tables; write the figures to a file too. Raises DataError, UnsupportedError."""
    counts = _counts(options.rows) if options.rows is not None else ()
    models = tuple(options.models.split(",")) if options.models else ()
    if models and not any(map(is_zoo, (what or "").split(","))):
        raise DataError("--models chooses among the models of zoo")
    tuned = options.tuning_logs is not None
    if options.target != "host" and not tuned:
        raise DataError("--target is for --tuning-logs; else builds are for this machine")
    if options.threads > 1 or options.profile or options.without or tuned:
        _check_mode(what, options)
        run_mode(what or "movielens-din", models, counts, options)
    elif what == "features":
        _features(options.json)
    elif what == "embeddings":
        _embeddings(options.json)
    else:
        _against_peers(what, models, counts, options)


def _check_mode(what: str | None, options: BenchOptions) -> None:
    given = {"--threads": options.threads > 1, "--profile": options.profile}
    given |= {"--tuning-logs": options.tuning_logs is not None}
    given |= {"--without": bool(options.without), "--against": bool(options.against)}
    chosen = [name for name, is_given in given.items() if is_given]
    if len(chosen) > 1:
        raise DataError(f"{' and '.join(chosen)} are measured one at a time")
    for one in [] if what is None else what.split(","):
        if not is_subject(one):
            _refuse(one)


def _refuse(what: str) -> NoReturn:
    known = [*MOVIELENS, *WORKLOADS, "zoo", "features", "embeddings"]
    if what in known or Path(what).is_file():
        raise DataError(f"{what}: give a workload, an ONNX graph or zoo: it is built anew for this")
    near = difflib.get_close_matches(what, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise DataError(f"{what}: neither a file nor a workload{hint} Workloads: {', '.join(known)}")


def _against_peers(
    what: str | None, models: tuple[str, ...], counts: tuple[int, ...], options: BenchOptions
) -> None:
    against = options.against
    graphs = what is not None and (is_zoo(what) or what.endswith(".onnx"))
    lower = options.quantize != "none"
    if options.calibration is not None and not graphs:
        raise DataError("--calibration is for ONNX graphs: others are calibrated on their requests")
    engines = LOWER_ENGINES if lower else ENGINES
    peers = ("float32", *PEERS) if lower else PEERS
    known = tuple(dict.fromkeys((*engines, *ENGINES))) if graphs else peers
    unknown = [peer for peer in against if peer not in known]
    if unknown:
        raise DataError(f"--against {unknown[0]}: not a peer; known are {', '.join(known)}")
    if graphs:
        assert what is not None
        changes = lower_precision(options.quantize, options.calibration) if lower else {}
        build = BuildOptions(**changes)
        latencies = _graphs(what, models, against or engines, counts or ROWS, build)
    elif what is not None and Path(what).is_file():
        if against or lower:
            raise DataError("--against, --quantize: need the model; an artifact alone has none")
        latencies = _artifact(Path(what), counts or ROWS)
    else:
        chosen = against or (("float32",) if lower else ())
        latencies = _models(what, chosen, counts, options.quantize)
    output.print(latency_table(latencies, graphs))
    for line in summary(latencies) if graphs else ():
        output.print(line, soft_wrap=True)
    write_figures(options.json, [asdict(latency) for latency in latencies])


def _graphs(
    what: str,
    models: tuple[str, ...],
    against: tuple[str, ...],
    counts: tuple[int, ...],
    build: BuildOptions,
) -> list[Latency]:
    found: list[Latency] = []
    with (
        scratch_folder() as folder,
        console.status(f"{what}: starting") as status,
    ):
        for graph in graphs(what, models, folder, status.update):
            say = (status.update, console.print)
            taken = bench_graph(graph, counts, against, folder, *say, build)
            found += taken
            ratios = [f"{one.best_ratio:.2f}x at {one.rows}" for one in taken if one.best_ratio]
            console.print(f"{graph.name}: {', '.join(ratios) or 'done'}")
    return found


def _features(as_json: Path | None) -> None:
    with console.status("features: building and measuring"):
        timings, stage = time_features(), time_stage()
    if timings and "tensorflow" not in timings[0].peers:
        console.print("tensorflow is not installed (pip install tensorflow-cpu): left out")
    output.print(feature_table(timings))
    output.print(
        f"{stage.features:,} features (300 id, 100 raw, 500 lookup, 100 match): built in "
        f"{stage.build_seconds:.1f} s, {stage.microseconds:,.0f} µs for {stage.items} items"
    )
    write_figures(as_json, {"features": [asdict(one) for one in timings], "stage": asdict(stage)})


def _embeddings(as_json: Path | None) -> None:
    with console.status("embeddings: measuring"):
        timings = time_lookups()
    output.print(lookup_table(timings))
    write_figures(as_json, [asdict(one) for one in timings])


def _counts(rows: str) -> tuple[int, ...]:
    try:
        counts = tuple(int(part) for part in rows.split(","))
    except ValueError:
        counts = ()
    if not counts or min(counts) < 1:
        raise DataError(f"--rows {rows}: counts from 1 on, with commas between, are needed")
    return counts


def _models(
    what: str | None, against: tuple[str, ...], counts: tuple[int, ...], quantize: str
) -> list[Latency]:
    if what is None or what in MOVIELENS:
        return _demo([what] if what else list(MOVIELENS), against, counts, quantize)
    if what not in WORKLOADS:
        _refuse(what)
    with console.status(f"{what}: starting") as status:
        return bench_workload(
            what,
            counts,
            against or PEERS,
            progress=lambda step: status.update(f"{what}: {step}"),
            say=console.print,
            quantize=quantize,
        )


def _demo(
    names: list[str], against: tuple[str, ...], counts: tuple[int, ...], quantize: str
) -> list[Latency]:
    data = load_data()
    found: list[Latency] = []
    with scratch_folder() as folder:
        for name in names:
            with console.status(f"{name}: building"):
                exact = prepare(MOVIELENS[name], data, folder)
                prepared = exact
                if quantize != "none":
                    into = folder / quantize
                    into.mkdir(exist_ok=True)
                    prepared = prepare(MOVIELENS[name], data, into, quantize=quantize)
            with console.status(f"{name}: measuring"):
                peers = against or _DEMO_PEERS
                found += bench_models(prepared, counts or ROWS, peers, exact.ranker)
    return found


def _artifact(path: Path, counts: tuple[int, ...]) -> list[Latency]:
    """An artifact on random inputs; ids are within every table."""
    ranker = runtime.load(path)
    if ranker.manifest["kind"] != "graph":
        raise UnsupportedError(
            f"{path}: has features, and a bench needs real requests; give a workload: "
            f"{', '.join([*MOVIELENS, *WORKLOADS])}"
        )
    found = []
    for count in counts:
        inputs = _random_inputs(ranker, count)
        taken = side_by_side({"rtcompile": lambda inputs=inputs: ranker.predict(inputs)})  # type: ignore[misc]
        found.append(Latency(path.name, count, taken["rtcompile"], {}))
    return found


def _random_inputs(ranker: runtime.Ranker, rows: int) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    fewest = min((table["rows"] for table in ranker.manifest["tables"]), default=2)
    inputs: dict[str, Any] = {}
    for port in ranker.input_ports:
        shape = port.shape if port.per_request else (rows, *port.shape)
        inputs[port.name] = rng.integers(0, fewest, shape).astype(port.dtype)
    return inputs
