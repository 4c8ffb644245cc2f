"""Make constants of the `Range` nodes that read fixed extents.

    Range(0, Shape(x)[1], 1)   ->   [0, 1, ..., 19]      x is [n, 20, 32]

Positions of a sequence are exported so. The importer gives a Range an extent of its own, and no
shape behind it is known.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from rtcompile.frontends.shape_values import BATCHES, reads_shapes_alone, value_at

__all__ = ["fold_ranges"]


def fold_ranges(model: Any) -> Any:
    """A copy of `model` without such nodes; the same object where it has none."""
    ranges = [node.output[0] for node in model.graph.node if node.op_type == "Range"]
    values = {name: _value(model, name) for name in ranges if reads_shapes_alone(model, name)}
    folded = {name: array for name, array in values.items() if array is not None}
    if not folded:
        return model
    rewritten = onnx.ModelProto()
    rewritten.CopyFrom(model)
    kept = [node for node in model.graph.node if not folded.keys() & set(node.output)]
    del rewritten.graph.node[:]
    rewritten.graph.node.extend(kept)
    for name, array in folded.items():
        rewritten.graph.initializer.append(numpy_helper.from_array(array, name))
    return rewritten


def _value(model: Any, name: str) -> Any:
    """The value, None where it changes with the batch."""
    first, second = (value_at(model, name, batch) for batch in BATCHES)
    return first if np.array_equal(first, second) else None
