"""A graph whose float values are each off by a few roundings, by chance.

A difference that comes to zero where numbers are exact comes to a little where they are rounded;
an infinity times it, its sign, or a floor of it is then anything. What a build gives is right where
roundings in other places give it too.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from tests.fuzz.graph import Graph

__all__ = ["with_noise"]

_ROUNDINGS = 4
# What moves values, or picks one of them, rounds nothing.
_EXACT = {
    *("Identity", "Relu", "Abs", "Neg", "Max", "Min", "Clip", "Where", "Cast", "Sign"),
    *("Floor", "Ceil", "Round", "ReduceMax", "ReduceMin", "MaxPool", "Concat", "Slice", "Split"),
    *("Transpose", "Reshape", "Squeeze", "Unsqueeze", "Expand", "Gather", "Pad", "Tile"),
}
# What is computed by sums that cancel is off by a rounding of these, not of their sum.
_CANCELLING = {
    *("Celu", "Cos", "Elu", "Erf", "Gelu", "LayerNormalization", "Log", "LogSoftmax", "Mish"),
    *("ReduceLogSum", "ReduceLogSumExp", "Selu", "Sin", "Softplus", "Tanh"),
}


def with_noise(model: Any, graph: Graph, seed: int) -> Any:
    """`model`, which is the graph's, with each float that a node computes times nearly one, and
    behind some nodes plus nearly nothing."""
    rng = np.random.default_rng(seed)
    floats = {v.name: v for v in graph.values if v.dtype.startswith("float")}
    noisy = onnx.ModelProto()
    noisy.CopyFrom(model)
    del noisy.graph.node[:]
    for node in model.graph.node:
        noisy.graph.node.append(node)
        if node.op_type in _EXACT:
            continue
        for place, name in enumerate(node.output):
            if name not in floats:
                continue
            noisy.graph.node[-1].output[place] = f"{name}_exact"
            value = floats[name]
            roundings = rng.integers(-_ROUNDINGS, _ROUNDINGS + 1, (2, *value.shape)) * 2.0**-23
            _put(noisy, "Mul", f"{name}_exact", f"{name}_wide", 1 + roundings[0], value.dtype)
            added = roundings[1] * (node.op_type in _CANCELLING)
            _put(noisy, "Add", f"{name}_wide", name, added, value.dtype)
    return noisy


def _put(model: Any, operator: str, source: str, target: str, noise: Any, dtype: str) -> None:
    constant = numpy_helper.from_array(noise.astype(dtype), f"{target}_noise")
    model.graph.initializer.append(constant)
    model.graph.node.append(helper.make_node(operator, [source, constant.name], [target]))
