"""What a quantized ONNX graph says of its weights: their int8 values, scales, and the range of the
input that they multiply."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["ByteRange", "KnownConstant", "QuantizedWeight", "weight_of"]

_WEIGHT_ONLY = "its input has no range, or several, in the model"


@dataclass(frozen=True)
class ByteRange:
    """Bytes that stand for numbers: x = scale * (q - zero), q from `least` to `most`."""

    scale: float
    zero: int
    least: int
    most: int

    @property
    def low(self) -> np.float32:
        """The least number of the range."""
        return np.float32(np.float32(self.scale) * np.float32(self.least - self.zero))

    @property
    def high(self) -> np.float32:
        """The largest number of the range."""
        return np.float32(np.float32(self.scale) * np.float32(self.most - self.zero))

    @property
    def unsigned_zero(self) -> int:
        """The zero point of the same range in uint8."""
        return self.zero - self.least


@dataclass(frozen=True)
class KnownConstant:
    """A float constant as the model quantized it: scale * (q - zero), both of one value, or of one
    for each index of `axis`."""

    q: npt.NDArray[Any]
    scale: npt.NDArray[np.float32]
    zero: npt.NDArray[np.int32]
    axis: int

    def values(self) -> npt.NDArray[np.float32]:
        """As DequantizeLinear computes it."""
        scale, zero = (_along(row, self.axis, self.q.ndim) for row in (self.scale, self.zero))
        return ((self.q.astype(np.int32) - zero).astype(np.float32) * scale).astype(np.float32)

    def transposed(self) -> KnownConstant:
        """Of a matrix."""
        return KnownConstant(self.q.T, self.scale, self.zero, 1 - self.axis % 2)


@dataclass(frozen=True)
class QuantizedWeight:
    """The matrix of a product, [depth, columns] int8, and the scale of each column.

    `input_range`: None where the model takes the range of each input as it comes (`dynamic`).
    `reason`: why the product cannot be computed in int8 as the model has it, or "".
    """

    name: str
    values: npt.NDArray[np.float32] = field(repr=False)
    q: npt.NDArray[np.int8] = field(repr=False)
    scale: npt.NDArray[np.float32] = field(repr=False)
    input_range: ByteRange | None
    reason: str = ""


def _along(row: npt.NDArray[Any], axis: int, dimensions: int) -> npt.NDArray[Any]:
    """A value, or a value for each index of an axis, as it broadcasts."""
    shape = [1] * dimensions
    if row.size > 1:
        shape[axis] = row.size
    return row.reshape(shape)


def weight_of(
    name: str, known: KnownConstant, input_range: ByteRange | None, dynamic: bool
) -> QuantizedWeight:
    """The weight of a product x @ W; `known` is its matrix, [depth, columns]."""
    columns = known.q.shape[1]
    reason = "" if input_range is not None or dynamic else _WEIGHT_ONLY
    if known.scale.size > 1 and known.axis % 2 != 1:
        reason = "its scales are those of rows, not of columns"
    q = known.q.astype(np.int32) - (known.zero if known.zero.size in (1, columns) else 0)
    if not reason and (q.min(initial=0) < -128 or q.max(initial=0) > 127):
        reason = "its weights have a zero point: they reach beyond int8 without it"
    scale = np.broadcast_to(known.scale, (columns,)) if not reason else np.zeros(columns)
    return QuantizedWeight(
        name, known.values(), q.astype(np.int8), scale.astype(np.float32), input_range, reason
    )
