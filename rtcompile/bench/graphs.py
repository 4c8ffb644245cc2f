"""Graphs that take their own inputs: an ONNX file, or the models of open libraries.

Measured from inputs to scores beside the engines that run the same file; all get the same arrays,
run on one thread each, and take turns in one process.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy.typing as npt
import onnx

import rtcompile
from rtcompile import runtime
from rtcompile.bench.engines import (
    PACKAGES,
    onnxruntime_int8_session,
    onnxruntime_session,
    openvino_request,
)
from rtcompile.bench.latency import Latency
from rtcompile.bench.timing import side_by_side
from rtcompile.errors import DataError, ModelError, UnsupportedError
from rtcompile.models.zoo.catalog import ZOOS, ZooModule
from rtcompile.options import BuildOptions
from rtcompile.verification.draw_inputs import generate_inputs

__all__ = [
    "ENGINES",
    "LOWER_ENGINES",
    "Graph",
    "bench_graph",
    "graphs",
    "is_zoo",
    "onnx_graph",
    "zoo_graphs",
]

_EXACT = BuildOptions()

ENGINES = ("onnxruntime", "openvino")

# Beside a graph in lower precision: `float32` is our own build of it.
LOWER_ENGINES = ("float32", "onnxruntime-int8", "openvino-bf16")

Inputs = Mapping[str, npt.NDArray[Any]]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Graph:
    """`inputs`: (ranker of the graph, rows) -> its inputs. It runs on `fewest_rows` or more."""

    name: str
    path: Path
    inputs: Callable[[runtime.Ranker, int], Inputs]
    fewest_rows: int = 1


def onnx_graph(path: Path) -> Graph:
    """An ONNX file, on random inputs whose ids lie within their tables. Raises ModelError."""
    try:
        model = onnx.load(str(path))
    except Exception as error:  # of protobuf, which has no public base class
        raise ModelError(f"{path}: not an ONNX model: {error}") from error

    def inputs(ranker: runtime.Ranker, rows: int) -> Inputs:
        return generate_inputs(model, ranker.input_ports, rows, seed=rows)

    return Graph(path.stem, path, inputs)


def is_zoo(what: str) -> bool:
    """Whether `what` means the models of libraries: "zoo" for all, or "zoo:LIBRARY"."""
    return what == "zoo" or what.startswith("zoo:")


def graphs(what: str, models: Sequence[str], folder: Path, progress: Say) -> Iterator[Graph]:
    """The graph of an ONNX file, or those of `models` of a zoo. Raises what the two below raise."""
    if is_zoo(what):
        yield from zoo_graphs(what, models, folder, progress)
    else:
        yield onnx_graph(Path(what))


def zoo_graphs(what: str, models: Sequence[str], folder: Path, progress: Say) -> Iterator[Graph]:
    """Those of `models`, or all; each is exported into `folder` when it is asked for.

    Raises DataError for an unknown name, UnsupportedError where a library is not installed.
    """
    _, _, library = what.partition(":")
    if library and library not in ZOOS:
        raise DataError(f"{what}: known are zoo, {', '.join(f'zoo:{name}' for name in ZOOS)}")
    loaded = [zoo.load() for name, zoo in ZOOS.items() if library in ("", name)]
    known = [name for zoo in loaded for name in zoo.MODELS]
    unknown = [name for name in models if name not in known]
    if unknown:
        raise DataError(f"--models {unknown[0]}: not in {what}; known are {', '.join(known)}")
    for zoo in loaded:
        for name in zoo.MODELS:
            if not models or name in models:
                progress(f"{name}: exporting")
                path = zoo.export(name, folder).path
                inputs = partial(_zoo_inputs, zoo)
                yield Graph(name, path, inputs, zoo.FEWEST_ROWS.get(name, 1))


def _zoo_inputs(zoo: ZooModule, ranker: runtime.Ranker, rows: int) -> Inputs:
    given = zoo.inputs(rows, seed=1)
    return {port.name: given[port.name] for port in ranker.input_ports}


def bench_graph(
    graph: Graph,
    rows: Sequence[int],
    against: Sequence[str],
    folder: Path,
    progress: Say,
    say: Say,
    options: BuildOptions = _EXACT,
) -> list[Latency]:
    """Build and verify `graph` in `folder`, then measure it at `rows`."""
    artifact = folder / f"{graph.name}.rtc"

    def build(options: BuildOptions) -> runtime.Ranker:
        def named(step: str) -> None:
            progress(f"{graph.name}: {step}")

        rtcompile.build(graph.path, options, output=artifact, progress=named)
        return runtime.load(artifact)

    engines = _engines(graph.path, against, say)
    if "float32" in against:
        engines["float32"] = build(_EXACT).predict
    begin = time.perf_counter()
    ranker = build(options)
    seconds = time.perf_counter() - begin
    precision = ranker.manifest.get("precision", {})
    progress(f"{graph.name}: measuring")
    found = []
    for count in rows:
        if count < graph.fewest_rows:
            continue
        inputs = graph.inputs(ranker, count)
        calls = {name: partial(engine, inputs) for name, engine in engines.items()}
        taken = side_by_side({"rtcompile": partial(ranker.predict, inputs), **calls})
        ours = taken.pop("rtcompile")
        moved = precision.get("largest_difference")
        found.append(Latency(graph.name, count, ours, taken, moved, seconds))
    return found


def _engines(path: Path, against: Sequence[str], say: Say) -> dict[str, Callable[[Inputs], object]]:
    """Engine -> a call with inputs. Those that cannot run the graph are said and left out."""
    found: dict[str, Callable[[Inputs], object]] = {}
    for name in against:
        try:
            if name == "onnxruntime":
                found[name] = partial(onnxruntime_session(path).run, None)
            elif name == "onnxruntime-int8":
                found[name] = partial(onnxruntime_int8_session(path).run, None)
            elif name.startswith("openvino"):
                precision = "bf16" if name == "openvino-bf16" else "f32"
                infer = openvino_request(path, precision).infer
                found[name] = partial(infer, share_inputs=True, share_outputs=True)
        except ImportError:
            say(f"{name} is not installed (pip install {PACKAGES[name.split('-')[0]]}): left out")
        except UnsupportedError as error:
            say(f"{error}: left out")
    return found
