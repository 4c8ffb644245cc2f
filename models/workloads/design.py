"""What a workload is made of, and the files it becomes: graph, config, tables, items, requests."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from safetensors.numpy import save_file

from rtcompile.models.workloads.network import Network, seeded

__all__ = ["Design", "Request", "Workload", "request_bytes", "write"]


@dataclass(frozen=True)
class Request:
    """Raw fields: of a user, and of the context a value a row."""

    user: Mapping[str, Any]
    context: Mapping[str, Sequence[Any]]

    def of(self, rows: int) -> Request:
        """The same for the first `rows` rows, which repeat where there are not as many."""
        context = {
            name: (list(values) * (rows // len(values) + 1))[:rows]
            for name, values in self.context.items()
        }
        return Request(self.user, context)

    def arrays(self) -> Request:
        """The same with the context as a service has it that keeps columns: numpy arrays of
        float32, int64 or bytes; lists of lists stay what they are."""
        return Request(self.user, {n: _array(values) for n, values in self.context.items()})


def _array(values: Sequence[Any]) -> Any:
    kinds = set(map(type, values))
    if kinds == {float}:
        return np.array(values, np.float32)
    if kinds == {int}:
        return np.array(values, np.int64)
    return np.array([value.encode() for value in values]) if kinds == {str} else values


@dataclass(frozen=True)
class Design:
    """A workload before any weight is drawn.

    `tables`: those outside of the graph, name -> (rows, dimension). `rows`: the row counts to
    measure at. Text fields are strings. Items have the key `item_id`.
    """

    name: str
    seed: int
    features: list[dict[str, Any]]
    network: Callable[[Network], None]
    tables: Mapping[str, tuple[int, int]]
    items: Mapping[str, list[Any]]
    requests: list[Request]
    rows: tuple[int, ...]

    @cached_property
    def config(self) -> dict[str, Any]:
        """The feature config. TensorFlow's hash, so that it can take part."""
        return {"hash": "farmhash", "features": self.features}

    def feature_counts(self) -> dict[str, int]:
        """How many features of each type; in sequences as "sequence"."""
        found: dict[str, int] = {}
        for feature in self.features:
            inner = feature.get("features")
            kind = "sequence" if inner else feature["feature_type"]
            found[kind] = found.get(kind, 0) + len(inner or [feature])
        return found


@dataclass(frozen=True)
class Workload:
    """A workload as files. `tables` is None where all tables are in the graph."""

    design: Design
    model: Path
    features: Path
    tables: Path | None


def request_bytes(request: Request, rows: int) -> int:
    """The bytes of a request's raw values: text as it is, a number as four bytes."""
    context = request.of(rows).context.values()
    values = [*request.user.values(), *(value for column in context for value in column)]
    return sum(len(v.encode()) if isinstance(v, str) else 4 for v in values)


def write(design: Design, folder: Path) -> Workload:
    """Draw the weights and write all files into `folder`: the same bytes for the same seed."""
    folder.mkdir(parents=True, exist_ok=True)
    network = Network(design.seed)
    design.network(network)
    model, features = folder / f"{design.name}.onnx", folder / f"{design.name}.json"
    onnx.save(network.model(), str(model))
    features.write_text(json.dumps(design.config))
    (folder / f"{design.name}.items.json").write_text(json.dumps(design.items))
    lines = [json.dumps({"user": r.user, "context": r.context}) for r in design.requests]
    (folder / f"{design.name}.requests.jsonl").write_text("\n".join(lines) + "\n")
    if not design.tables:
        return Workload(design, model, features, None)
    tables = {}
    for name, shape in design.tables.items():
        table = seeded(design.seed, name).random(shape, np.float32)
        table -= np.float32(0.5)
        table *= np.float32(0.2)
        tables[name] = table
    path = folder / f"{design.name}.safetensors"
    save_file(tables, str(path))
    return Workload(design, model, features, path)
