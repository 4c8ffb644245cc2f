"""A model as its peers take it: the ONNX graph, and what feeds each of its inputs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx

from rtcompile.codegen.program.program import Port
from rtcompile.compile.binding import BoundInput, bind
from rtcompile.compile.embeddings import graph_tables, load_tables
from rtcompile.features.config.parse_config import load_config

__all__ = ["BoundModel", "bind_model"]


@dataclass(frozen=True)
class BoundModel:
    """`model` is the onnx.ModelProto, `outputs` are the names of its outputs, in order."""

    path: Path
    model: Any
    inputs: tuple[BoundInput, ...]
    outputs: tuple[str, ...]


def bind_model(path: Path, features: Path, embeddings: Path | None) -> BoundModel:
    """Read all three. Raises what a build raises for them."""
    model = onnx.load(str(path))
    tables = [load_tables(embeddings)] if embeddings else []
    initializers = {tensor.name for tensor in model.graph.initializer}
    ports = [_port(given) for given in model.graph.input if given.name not in initializers]
    bound = bind(load_config(features), ports, [*tables, graph_tables(model)], {})
    return BoundModel(path, model, bound, tuple(output.name for output in model.graph.output))


def _port(given: Any) -> Port:
    tensor = given.type.tensor_type
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
    return Port(given.name, str(dtype), tuple(int(d.dim_value) for d in tensor.shape.dim[1:]))
