"""A graph whose look-ups read other tables.

    Gather(W, ids, axis = 0)   ->   Gather(W', ids, axis = 0)

where ids depend on the graph's inputs: these are the look-ups that leave the graph for a kernel.
What else reads W, as a matrix product with tied weights does, reads what it did.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from rtcompile.frontends.onnx.rewrite.bag_function import BAGS

__all__ = ["replace_tables"]


def replace_tables(model: Any, tables: Mapping[str, npt.NDArray[np.float32]]) -> Any:
    """A copy of an onnx.ModelProto; `tables`: name of an initializer -> what is looked up in it."""
    out = onnx.ModelProto()
    out.CopyFrom(model)
    graph = out.graph
    moving = {value.name for value in graph.input} - {tensor.name for tensor in graph.initializer}
    replaced = set()
    for node in graph.node:
        if not moving.isdisjoint(node.input):
            moving.update(node.output)
        axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
        looks_up = (node.op_type == "Gather" and axis == 0) or node.op_type in BAGS
        if looks_up and node.input[0] in tables and node.input[1] in moving:
            replaced.add(node.input[0])
            node.input[0] = _new_name(node.input[0])
    still_read = {name for node in graph.node for name in node.input}
    kept = [t for t in graph.initializer if t.name not in replaced or t.name in still_read]
    new = [numpy_helper.from_array(tables[name], _new_name(name)) for name in sorted(replaced)]
    del graph.initializer[:]
    graph.initializer.extend([*kept, *new])
    return out


def _new_name(name: str) -> str:
    return f"{name}/stored"
