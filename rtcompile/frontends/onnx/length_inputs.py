"""Which inputs of an ONNX graph are the lengths of a recurrent layer's sequences."""

from __future__ import annotations

from typing import Any

import onnx

__all__ = ["has_lengths", "length_inputs"]

_RECURRENT = ("GRU", "LSTM", "RNN")
_LENGTHS = 4  # the place among the inputs
_TRANSPARENT = ("Cast", "Identity", "Squeeze", "Unsqueeze", "Reshape", "Flatten")


def has_lengths(node: Any) -> bool:
    """Whether a node is a recurrent layer that is given lengths."""
    is_given = len(node.input) > _LENGTHS and bool(node.input[_LENGTHS])
    return node.op_type in _RECURRENT and is_given


def length_inputs(model: Any) -> dict[str, int]:
    """Input -> the steps of the shortest sequences that it is of; 1 where they are unknown."""
    layers = [node for node in model.graph.node if has_lengths(node)]
    if not layers:
        return {}
    producers = {output: node for node in model.graph.node for output in node.output}
    try:
        typed = onnx.shape_inference.infer_shapes(model).graph
    except (ValueError, onnx.shape_inference.InferenceError):  # a model over 2 GB, or of no types
        typed = model.graph
    shapes = {
        value.name: value.type.tensor_type.shape.dim for value in (*typed.value_info, *typed.input)
    }
    found: dict[str, int] = {}
    for node in layers:
        name = node.input[_LENGTHS]
        while name in producers and producers[name].op_type in _TRANSPARENT:
            name = producers[name].input[0]
        if name not in producers:
            by_row = any(a.name == "layout" and a.i == 1 for a in node.attribute)
            extents = shapes.get(node.input[0], ())
            steps = extents[int(by_row)].dim_value if len(extents) > 1 else 0
            found[name] = min(max(steps, 1), found.get(name, max(steps, 1)))
    return found
