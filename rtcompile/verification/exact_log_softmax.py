"""LogSoftmax for onnx's evaluator, which takes the logarithm of what its softmax rounds to zero."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from onnx.reference.op_run import OpRun

__all__ = ["LogSoftmax"]

Array = npt.NDArray[Any]


class LogSoftmax(OpRun):  # type: ignore[misc]  # onnx has no types
    """Of an axis: x - max(x) - log(sum(exp(x - max(x))))."""

    op_domain = ""

    def _run(self, x: Array, axis: int | None = None) -> tuple[Array]:
        along = self.axis if axis is None else axis
        below = x - x.max(along, keepdims=True)
        return (np.asarray(below - np.log(np.exp(below).sum(along, keepdims=True)), x.dtype),)
