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


def with_noise(model: Any, graph: Graph, seed: int) -> Any:
    """`model`, which is the graph's, with each float that a node computes times nearly one."""
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
            roundings = rng.integers(-_ROUNDINGS, _ROUNDINGS + 1, floats[name].shape)
            factor = (1 + roundings * 2.0**-23).astype(floats[name].dtype)
            noisy.graph.initializer.append(numpy_helper.from_array(factor, f"{name}_factor"))
            product = helper.make_node("Mul", [f"{name}_exact", f"{name}_factor"], [name])
            noisy.graph.node.append(product)
    return noisy
