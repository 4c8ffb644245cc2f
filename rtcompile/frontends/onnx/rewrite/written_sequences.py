"""A graph without sequences of tensors that it writes out itself.

    SequenceAt(SequenceConstruct(a, b), 1)                ->   b
    ConcatFromSequence(SequenceConstruct(a, b), axis=k)   ->   Concat(a, b, axis=k)

Exporters write them where Python had a list. Others stay, and are refused by name.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

__all__ = ["without_written_sequences"]


def without_written_sequences(model: Any) -> Any:
    """A model without these; the same object where it has none."""
    written = {
        node.output[0]: list(node.input)
        for node in model.graph.node
        if node.op_type == "SequenceConstruct"
    }
    if not written:
        return model
    constants = _constants(model.graph)
    nodes = [_replaced(node, written, constants) for node in model.graph.node]
    read = {name for node in nodes for name in node.input}
    read.update(value.name for value in model.graph.output)
    found = onnx.ModelProto()
    found.CopyFrom(model)
    del found.graph.node[:]
    found.graph.node.extend(n for n in nodes if n.output[0] not in written.keys() - read)
    return found


def _replaced(node: Any, written: dict[str, list[str]], constants: dict[str, Any]) -> Any:
    parts = written.get(node.input[0]) if node.input else None
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    if parts is None:
        return node
    if node.op_type == "SequenceAt" and node.input[1] in constants:
        place = int(np.ravel(numpy_helper.to_array(constants[node.input[1]]))[0])
        if -len(parts) <= place < len(parts):
            return helper.make_node("Identity", [parts[place]], list(node.output), node.name)
    if node.op_type == "ConcatFromSequence" and not attributes.get("new_axis"):
        axis = attributes["axis"]
        return helper.make_node("Concat", parts, list(node.output), node.name, axis=axis)
    return node


def _constants(graph: Any) -> dict[str, Any]:
    found = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        for attribute in node.attribute if node.op_type == "Constant" else ():
            if attribute.HasField("t"):
                found[node.output[0]] = attribute.t
    return found
