"""What a graph computes of its shapes alone.

Every extent but the batch is fixed, so such a value is a constant, or changes with the batch: it is
computed for a batch of a given size.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper
from onnx.reference import ReferenceEvaluator

__all__ = ["BATCHES", "needed_nodes", "reads_of", "reads_shapes_alone", "value_at"]

# Sizes that tell whether a value changes with the batch. The batch itself counts as more than one.
BATCHES = (2, 3)


def reads_shapes_alone(model: Any, name: str) -> bool:
    """Whether `name` depends on shapes, and on no value of an input."""
    cone = _cone(model, name)
    inputs = {value.name for value in model.graph.input}
    shapes = [node for node in cone if node.op_type == "Shape"]
    others = (node for node in cone if node.op_type != "Shape")
    return bool(shapes) and not any(read in inputs for node in others for read in node.input)


def value_at(model: Any, name: str, batch: int) -> npt.NDArray[Any]:
    """The value of `name`, which depends on shapes alone, at a batch of this size."""
    shapes = [node for node in _cone(model, name) if node.op_type == "Shape"]
    feeds = {read: _zeros(model, read, batch) for read in _data_inputs(model, shapes)}
    graph = helper.make_graph(
        needed_nodes(model, name),
        "shapes",
        [value for value in model.graph.input if value.name in feeds],
        [helper.make_tensor_value_info(name, onnx.TensorProto.INT64, None)],
        initializer=list(model.graph.initializer),
    )
    small = helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    with np.errstate(all="ignore"):  # what lies in front of the shapes runs on zeros
        return np.asarray(ReferenceEvaluator(small).run(None, feeds)[0])


def _cone(model: Any, name: str) -> list[Any]:
    """Nodes that `name` depends on, not looking behind a Shape."""
    producers = {output: node for node in model.graph.node for output in node.output}
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


def needed_nodes(model: Any, *names: str) -> list[Any]:
    """Every node that one of `names` depends on, in the graph's order."""
    wanted, nodes = set(names), []
    for node in reversed(model.graph.node):
        if wanted.intersection(node.output):
            nodes.append(node)
            wanted.update(reads_of(node))
    return nodes[::-1]


def reads_of(node: Any) -> set[str]:
    """What a node reads, its branches included."""
    found = set(node.input)
    for attribute in node.attribute:
        if attribute.HasField("g"):
            found.update(name for inner in attribute.g.node for name in reads_of(inner))
            found.update(output.name for output in attribute.g.output)
    return found


def _data_inputs(model: Any, shapes: list[Any]) -> set[str]:
    names: set[str] = set()
    for node in shapes:
        for needed in needed_nodes(model, node.output[0]):
            names.update(needed.input)
    return names & {value.name for value in model.graph.input}


def _zeros(model: Any, name: str, batch: int) -> Any:
    value = next(v for v in model.graph.input if v.name == name)
    shape = [extent.dim_value or batch for extent in value.type.tensor_type.shape.dim]
    dtype = helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
    return np.zeros(shape, dtype)
