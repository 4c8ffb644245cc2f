"""What an artifact was made of: every file by its digest, the options, the versions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import onnx
from onnx.external_data_helper import ExternalDataInfo, uses_external_data

from rtcompile.embeddings import table_files
from rtcompile.input_files import InputFile, note_input
from rtcompile.options import BuildOptions
from rtcompile.tuning.logs import log_files, packaged_logs

__all__ = ["describe_provenance", "note_files"]

MODEL, FEATURES = "model", "features"


def note_files(model: Path, options: BuildOptions, target: str) -> None:
    """Note the files of a build, all but the feature config and what it names. Raises OSError."""
    note_input(model, MODEL)
    for name in sorted(set(_external_data(model))):
        note_input(model.parent / name, "model data")
    if options.embeddings is not None:
        for path in table_files(Path(options.embeddings)):
            note_input(path, "embeddings")
    if options.calibration is not None:
        note_input(Path(options.calibration), "calibration")
    logs = packaged_logs() if options.tuning_logs is None else Path(options.tuning_logs)
    for name, path in log_files(logs):
        if name == target:
            note_input(path, "tuning logs")


def describe_provenance(files: Sequence[InputFile], options: BuildOptions) -> dict[str, Any]:
    """For the manifest. `sha256` is of all the rest: equal where equal artifacts are made."""
    digests = {file.role: file for file in reversed(files)}
    model, features = digests[MODEL], digests.get(FEATURES)
    found = {
        "model": model.name,
        "model_sha256": model.sha256,
        "features_sha256": features.sha256 if features else None,
        "options_sha256": options.digest(),
        "files": [asdict(file) for file in sorted(files)],
        "rtcompile": version("rtcompile"),
        "tvm": version("apache-tvm"),
        "onnx": version("onnx"),
    }
    text = json.dumps(found, sort_keys=True)
    return {**found, "sha256": hashlib.sha256(text.encode()).hexdigest()}


def _external_data(model: Path) -> Iterator[str]:
    """The files beside an ONNX model that hold its tensors."""
    loaded = onnx.load(model, load_external_data=False)
    for tensor in _tensors_of_graph(loaded.graph):
        if uses_external_data(tensor):
            yield ExternalDataInfo(tensor).location
    for function in loaded.functions:
        for tensor in _tensors_of_nodes(function.node):
            if uses_external_data(tensor):
                yield ExternalDataInfo(tensor).location


def _tensors_of_graph(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _tensors_of_nodes(graph.node)


def _tensors_of_nodes(nodes: Any) -> Iterator[Any]:
    for node in nodes:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            if attribute.HasField("g"):
                yield from _tensors_of_graph(attribute.g)
            for graph in attribute.graphs:
                yield from _tensors_of_graph(graph)
