"""Pools for onnx's evaluator, which passes over NaN in them, and does not know all paddings."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from onnx.reference.op_run import OpRun

__all__ = ["POOLS"]

Array = npt.NDArray[Any]


def _windows(x: Array, pads: Any, kernel_shape: Any, strides: Any) -> Array:
    """[..., windows, elements] along the last axis; what pads is 0."""
    padded = np.pad(x, [*[(0, 0)] * (x.ndim - 1), tuple(pads)])
    every = np.lib.stride_tricks.sliding_window_view(padded, kernel_shape[0], -1)
    return every[..., :: strides[0], :]


class MaxPool(OpRun):  # type: ignore[misc]  # onnx has no types
    """Along the last axis: NaN where one is in the window."""

    op_domain = ""

    def _run(self, x: Array, kernel_shape: Any, pads: Any, strides: Any, **_: Any) -> tuple[Array]:
        kept = _windows(np.ones(x.shape, bool), pads, kernel_shape, strides)
        values = np.where(kept, _windows(x, pads, kernel_shape, strides), -np.inf)
        return (values.max(-1).astype(x.dtype),)


class AveragePool(OpRun):  # type: ignore[misc]
    """Along the last axis, without what pads."""

    op_domain = ""

    def _run(self, x: Array, kernel_shape: Any, pads: Any, strides: Any, **_: Any) -> tuple[Array]:
        kept = _windows(np.ones(x.shape, bool), pads, kernel_shape, strides)
        total = np.where(kept, _windows(x, pads, kernel_shape, strides), 0).sum(-1)
        return ((total / kept.sum(-1)).astype(x.dtype),)


POOLS = (MaxPool, AveragePool)
