"""Resolve `If` nodes whose condition depends on shapes only.

Exporters write a branch where an operator's form depends on an extent, such as "squeeze this axis
if it is one". Every extent but the batch is fixed, so the condition is a constant: it is computed
twice, for two batch sizes, and where both agree the branch it picks takes the node's place. A
condition that reads data, or changes with the batch, is refused. The batch itself counts as more
than one.
"""

from __future__ import annotations

from typing import Any

import onnx
from onnx import helper

from rtcompile.errors import UnsupportedError
from rtcompile.frontends.shape_values import BATCHES, needed_nodes, reads_shapes_alone, value_at

__all__ = ["resolve_branches"]


def resolve_branches(model: Any) -> Any:
    """A model without `If` nodes; the same object where it has none."""
    while True:
        position = next((i for i, n in enumerate(model.graph.node) if n.op_type == "If"), None)
        if position is None:
            return model
        model = _resolve(model, position)


def _resolve(model: Any, position: int) -> Any:
    node = model.graph.node[position]
    if not reads_shapes_alone(model, node.input[0]):
        raise UnsupportedError(f"node {node.name}: If depends on data, not on shapes alone")
    taken = {bool(value_at(model, node.input[0], batch).all()) for batch in BATCHES}
    if len(taken) != 1:
        raise UnsupportedError(f"node {node.name or position}: If depends on the batch size")
    wanted = "then_branch" if taken.pop() else "else_branch"
    branch = next(a.g for a in node.attribute if a.name == wanted)
    resolved = onnx.ModelProto()
    resolved.CopyFrom(model)
    body = list(model.graph.node)
    body[position : position + 1] = _inlined(branch, node)
    del resolved.graph.node[:]
    resolved.graph.node.extend(body)
    resolved.graph.initializer.extend(branch.initializer)
    return _without_dead_nodes(resolved)


def _without_dead_nodes(model: Any) -> Any:
    """`model` without what computed the condition, perhaps by what has no importer."""
    nodes = needed_nodes(model, *(output.name for output in model.graph.output))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def _inlined(branch: Any, node: Any) -> list[Any]:
    """The branch's nodes, and its results under the names of the node's outputs."""
    results = [
        helper.make_node("Identity", [inner.name], [outer])
        for inner, outer in zip(branch.output, node.output, strict=True)
    ]
    return [*branch.node, *results]
