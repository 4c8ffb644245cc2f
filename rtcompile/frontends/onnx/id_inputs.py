"""Which inputs of an ONNX graph are ids, and of how large a table.

An input is a whole of ids where it feeds the indices of a Gather or of bags, perhaps through Cast,
Squeeze, Unsqueeze or Reshape; a column of a float matrix is one where a Slice of width one feeds
such a chain, as deepctr-torch exports it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from onnx import numpy_helper

from rtcompile.frontends.onnx.rewrite.bag_function import BAGS

__all__ = ["IdInputs", "id_columns"]

_TRANSPARENT = ("Cast", "Identity", "Squeeze", "Unsqueeze", "Reshape", "Flatten")


@dataclass
class IdInputs:
    """`whole`: input -> table rows. `columns`: input -> column -> table rows. The smallest table
    counts where ids feed several."""

    whole: dict[str, int] = field(default_factory=dict)
    columns: dict[str, dict[int, int]] = field(default_factory=dict)


def id_columns(model: Any) -> IdInputs:
    """Trace the indices of every look-up in a constant back to the graph's inputs."""
    graph = model.graph
    producers = {output: node for node in graph.node for output in node.output}
    constants = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    values = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            values[node.output[0]] = node.attribute[0].t
            constants[node.output[0]] = list(node.attribute[0].t.dims)
    found = IdInputs()
    for node in graph.node:
        gathers = node.op_type == "Gather" or node.op_type in BAGS
        if gathers and node.input[0] in constants:
            extents = constants[node.input[0]]
            axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
            if extents:
                _trace(node.input[1], extents[axis], producers, values, found)
    return found


def _trace(name: str, rows: int, producers: Any, values: Any, found: IdInputs) -> None:
    while name in producers and producers[name].op_type in _TRANSPARENT:
        name = producers[name].input[0]
    node = producers.get(name)
    if node is None:
        found.whole[name] = min(rows, found.whole.get(name, rows))
    elif node.op_type == "Slice" and node.input[0] not in producers:
        column = _sliced_column(node, values)
        if column is not None:
            columns = found.columns.setdefault(node.input[0], {})
            columns[column] = min(rows, columns.get(column, rows))


def _sliced_column(node: Any, values: Any) -> int | None:
    if len(node.input) < 4 or any(name not in values for name in node.input[1:4]):
        return None
    start, _, axes = (np.atleast_1d(numpy_helper.to_array(values[n])) for n in node.input[1:4])
    return int(start[0]) if len(axes) == 1 and int(axes[0]) == 1 else None
