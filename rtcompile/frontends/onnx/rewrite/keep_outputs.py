"""Keep some of a graph's outputs: what only the others needed is gone before it is imported.

    click = sigmoid(tower_1(mix_1))                 click = sigmoid(tower_1(mix_1))
    buy   = sigmoid(tower_2(mix_2, E2[ids_2]))  ->
    inputs ids, ids_2                               inputs ids

Initializers stay: a feature's pooled table may be one, and the importer drops what nothing reads.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import onnx

from rtcompile.errors import ConfigError
from rtcompile.frontends.onnx.rewrite.graph_edit import needed_nodes
from rtcompile.frontends.onnx.rewrite.shape_facts import reads_of

__all__ = ["LeftOut", "keep_outputs"]


@dataclass(frozen=True)
class LeftOut:
    """Names of the outputs that no one asked for, of the inputs that only they need, and how many
    operators that takes away."""

    outputs: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    operators: int = 0


def keep_outputs(model: Any, kept: Collection[str]) -> tuple[Any, LeftOut]:
    """An onnx.ModelProto with the outputs named `kept`, in its order; all where none is named.

    An input that no output needed before stays. ConfigError names what is no output.
    """
    outputs = [output.name for output in model.graph.output]
    problems = [_unknown(name, outputs) for name in kept if name not in outputs]
    if problems:
        raise ConfigError("; ".join(problems))
    if not kept or set(outputs) == set(kept):
        return model, LeftOut()
    nodes = needed_nodes(model.graph.node, kept)
    needed = set(kept).union(*map(reads_of, nodes))
    read = set(outputs).union(*map(reads_of, needed_nodes(model.graph.node, outputs)))
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [value.name for value in model.graph.input if value.name not in constants]
    left = LeftOut(
        tuple(name for name in outputs if name not in kept),
        tuple(name for name in inputs if name in read and name not in needed),
        len(model.graph.node) - len(nodes),
    )
    return _reduced(model, nodes, left), left


def _unknown(name: str, outputs: list[str]) -> str:
    near = difflib.get_close_matches(name, outputs, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"the graph has {', '.join(outputs)}"
    return f"outputs {name!r}: no output of the graph; {hint}"


def _reduced(model: Any, nodes: list[Any], left: LeftOut) -> Any:
    reduced = onnx.ModelProto()
    reduced.CopyFrom(model)
    graph = reduced.graph
    for kind, values, gone in (
        ("node", nodes, ()),
        ("input", model.graph.input, left.inputs),
        ("output", model.graph.output, left.outputs),
    ):
        graph.ClearField(kind)
        getattr(graph, kind).extend(value for value in values if value.name not in gone)
    return reduced
