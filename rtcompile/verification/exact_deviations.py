"""Normalizations for onnx's evaluator, which has them as the functions that ONNX writes out.

Those take mean(x * x) - mean(x) ** 2 for the variance, and cast to float32 for it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from onnx.reference.op_run import OpRun

__all__ = ["EXACT_DEVIATIONS"]

Array = npt.NDArray[Any]


class GroupNormalization(OpRun):  # type: ignore[misc]  # onnx has no types
    """By groups of channels: x is [rows, channels, ...]."""

    op_domain = ""

    def _run(
        self,
        x: Array,
        scale: Array,
        bias: Array,
        epsilon: float = 1e-5,
        num_groups: int = 1,
        stash_type: int = 1,
    ) -> tuple[Array]:
        grouped = x.reshape(len(x), num_groups, -1)
        apart = grouped - grouped.mean(2, keepdims=True)
        deviation = np.sqrt((apart * apart).mean(2, keepdims=True) + epsilon)
        channel = (-1, *[1] * (x.ndim - 2))
        scaled = (apart / deviation).reshape(x.shape) * scale.reshape(channel)
        return (np.asarray(scaled + bias.reshape(channel), x.dtype),)


class MeanVarianceNormalization(OpRun):  # type: ignore[misc]
    """Over `axes`, with ONNX's 1e-9 beside the deviation."""

    op_domain = ""

    def _run(self, x: Array, axes: Any = None) -> tuple[Array]:
        over = tuple(axes) if axes else (0, 2, 3)
        apart = x - x.mean(over, keepdims=True)
        deviation = np.sqrt((apart * apart).mean(over, keepdims=True))
        return (np.asarray(apart / (deviation + 1e-9), x.dtype),)


EXACT_DEVIATIONS = [GroupNormalization, MeanVarianceNormalization]
