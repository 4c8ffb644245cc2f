"""ONNX's `Gather` by constant indices as a plain take, the indices counted from the front.

The importer asks the tensor for its extent, at run time where the batch is symbolic; the indices
would be computed then, and a take of computed indices is no move of blocks (`gather_blocks`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from tvm import relax

from relay_passes.matching import constant_array, shape_of
from rtcompile.errors import ModelError

__all__ = ["constant_gather"]


def constant_gather(inputs: Sequence[Any], attributes: Any) -> Any:
    """take(x, indices, axis); None where the importer's own rule is needed, and for tables.

    Raises ModelError for an index that the axis does not have.
    """
    data, indices = inputs
    array = constant_array(indices) if indices is not None else None
    if array is None or constant_array(data) is not None:
        return None
    shape = shape_of(data) if isinstance(data.ty, relax.TensorType) else None
    if not shape:
        return None
    axis = int(attributes.get("axis", 0)) % len(shape)
    extent = shape[axis]
    if not isinstance(extent, int):
        return None
    outside = array[(array < -extent) | (array >= extent)]
    if outside.size:
        raise ModelError(f"a Gather takes element {outside[0]} of an axis that has {extent}")
    counted = np.where(array < 0, array + extent, array).astype(np.int64)
    return relax.op.take(data, relax.const(counted, "int64"), axis)
