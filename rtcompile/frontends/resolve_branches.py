"""Resolve `If` nodes whose condition depends on shapes only.

Exporters write a branch where an operator's form depends on an extent, such as "squeeze this axis
if it is one". Every extent but the batch is fixed, so the condition is a constant: it is computed
twice, for two batch sizes, and where both agree the branch it picks takes the node's place. A
condition that reads data, or changes with the batch, is refused. The batch itself counts as more
than one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import helper
from onnx.reference import ReferenceEvaluator

from rtcompile.errors import UnsupportedError

__all__ = ["resolve_branches"]

_BATCHES = (2, 3)


def resolve_branches(model: Any) -> Any:
    """A model without `If` nodes; the same object where it has none."""
    while True:
        position = next((i for i, n in enumerate(model.graph.node) if n.op_type == "If"), None)
        if position is None:
            return model
        model = _resolve(model, position)


def _resolve(model: Any, position: int) -> Any:
    node = model.graph.node[position]
    taken = {_condition(model, node, batch) for batch in _BATCHES}
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
    nodes = _needed(model, *(output.name for output in model.graph.output))
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


def _condition(model: Any, node: Any, batch: int) -> bool:
    producers = {output: other for other in model.graph.node for output in other.output}
    cone = _cone(node.input[0], producers)
    shapes = [other for other in cone if other.op_type == "Shape"]
    feeds = {name: _zeros(model, name, batch) for name in _data_inputs(model, shapes)}
    if not shapes or _reads_data(model, cone):
        raise UnsupportedError(f"node {node.name}: If depends on data, not on shapes alone")
    graph = helper.make_graph(
        _needed(model, node.input[0]),
        "condition",
        [value for value in model.graph.input if value.name in feeds],
        [helper.make_tensor_value_info(node.input[0], onnx.TensorProto.BOOL, None)],
        initializer=list(model.graph.initializer),
    )
    small = helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    return bool(np.all(ReferenceEvaluator(small).run(None, feeds)[0]))


def _cone(name: str, producers: Any) -> list[Any]:
    """Nodes that `name` depends on, not looking behind a Shape."""
    found: list[Any] = []
    pending, seen = [name], set()
    while pending:
        node = producers.get(pending.pop())
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        found.append(node)
        if node.op_type != "Shape":
            pending.extend(node.input)
    return found


def _reads_data(model: Any, cone: list[Any]) -> bool:
    inputs = {value.name for value in model.graph.input}
    return any(name in inputs for node in cone if node.op_type != "Shape" for name in node.input)


def _needed(model: Any, *names: str) -> list[Any]:
    """Every node that one of `names` depends on, in the graph's order."""
    wanted, nodes = set(names), []
    for node in reversed(model.graph.node):
        if wanted.intersection(node.output):
            nodes.append(node)
            wanted.update(_reads(node))
    return nodes[::-1]


def _reads(node: Any) -> set[str]:
    """What a node reads, its branches included."""
    found = set(node.input)
    for attribute in node.attribute:
        if attribute.HasField("g"):
            found.update(name for inner in attribute.g.node for name in _reads(inner))
            found.update(output.name for output in attribute.g.output)
    return found


def _data_inputs(model: Any, shapes: list[Any]) -> set[str]:
    names: set[str] = set()
    for node in shapes:
        for needed in _needed(model, node.output[0]):
            names.update(needed.input)
    return names & {value.name for value in model.graph.input}


def _zeros(model: Any, name: str, batch: int) -> Any:
    value = next(v for v in model.graph.input if v.name == name)
    shape = [extent.dim_value or batch for extent in value.type.tensor_type.shape.dim]
    dtype = helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
    return np.zeros(shape, dtype)
