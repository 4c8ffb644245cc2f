"""The layers of a model that comes quantized: which compute in int8, and by which ranges.

The weights are known from the file (`frontends/onnx/quantized/`), the layers from the finished
graph, where a weight may have been cut by blocks of rows, and its columns scaled, by a batch
normalisation behind it. A layer is int8 where its matrix is one of rows of one weight, as they are,
or times a factor for each column. The int8 values are those of the file, and so is the range of the
input: the Clip to it stands before the product, and nothing but moves of data between, so that no
pass can have scaled the input. Where equal weights had inputs of different ranges, each row has its
own. What matches none stays in float32.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from rtcompile.frontends.onnx.quantized.weights import ByteRange, QuantizedWeight
from rtcompile.relay_passes.kernels.precision import FLOAT32, LayerPrecision, PrecisionPlan
from rtcompile.relay_passes.kernels.quantize_dense import DenseLayer, dense_layers
from rtcompile.relay_passes.matching import constant_array
from rtcompile.relay_passes.stage.split_stages import StageGraph
from rtcompile.targets import CpuTarget

__all__ = ["ImportedLayers", "describe_imported", "imported_layers"]

_NEAR = 1e-5

Matrix = npt.NDArray[np.float32]


@dataclass
class ImportedLayers:
    """`plan` says the precision of each layer; `reasons` why it is not the file's."""

    plan: PrecisionPlan
    reasons: dict[str, str] = field(default_factory=dict)


def imported_layers(
    staged: Iterable[StageGraph], weights: Sequence[QuantizedWeight], target: CpuTarget
) -> ImportedLayers:
    """The precision of every layer of the stages that the model has quantized."""
    known = [_Known.of(weight) for weight in weights]
    layers: dict[str, LayerPrecision] = {}
    reasons: dict[str, str] = {}
    for stage in staged:
        for number, call in enumerate(dense_layers(stage.module["main"]).values()):
            name = f"{stage.time.value}/{number}"
            matrix = constant_array(call.args[1].fields[1])
            assert matrix is not None  # it is a dense layer's
            precision, reason = _match(matrix, known)
            if precision is not None and not target.registers.int8:
                precision, reason = None, f"{target.name} has no instruction that multiplies bytes"
            if precision is not None:
                layers[name] = precision
            if reason:
                reasons[name] = reason
    return ImportedLayers(PrecisionPlan(layers), reasons)


def describe_imported(
    layers: Mapping[str, DenseLayer], imported: ImportedLayers
) -> list[dict[str, object]]:
    """For the manifest: each layer's shape, level, and what there is to say of it."""
    return [
        {
            "layer": name,
            "depth": layer.depth,
            "columns": layer.columns,
            "level": imported.plan.layers.get(name, FLOAT32).level,
            "reason": imported.reasons.get(name, ""),
        }
        for name, layer in layers.items()
    ]


@dataclass
class _Known:
    """A weight, and where each of its rows is, by the bytes of the row."""

    weight: QuantizedWeight
    rows: Mapping[bytes, int]

    @staticmethod
    def of(weight: QuantizedWeight) -> _Known:
        return _Known(weight, {row.tobytes(): i for i, row in enumerate(weight.values)})

    def holds(self, matrix: Matrix) -> bool:
        """Whether the matrix consists of rows of the weight."""
        return matrix.shape[1] == self.weight.values.shape[1] and all(
            row.tobytes() in self.rows for row in np.ascontiguousarray(matrix)
        )


def _match(matrix: Matrix, known: Sequence[_Known]) -> tuple[LayerPrecision | None, str]:
    """The precision of a layer, or why it has none of the file's."""
    found = [k.weight for k in known if k.holds(matrix)]
    usable = [weight for weight in found if not weight.reason]
    if usable:
        ranges = {weight.input_range for weight in usable}
        return _int8(ranges.pop() if len(ranges) == 1 else None, usable[0].scale), ""
    if found:
        return None, found[0].reason
    for weight in (k.weight for k in known if not k.weight.reason):
        factors = _column_factors(matrix, weight.values)
        if factors is not None:
            return _int8(weight.input_range, weight.scale * factors), ""
    return None, "its matrix is none of those that the model has quantized"


def _int8(given: ByteRange | None, columns: Matrix) -> LayerPrecision:
    if given is None:
        return LayerPrecision("int8", columns=columns)
    return LayerPrecision("int8", given.scale, given.unsigned_zero, columns)


def _column_factors(matrix: Matrix, weight: Matrix) -> Matrix | None:
    """c such that the matrix is a block of rows of the weight, times c of each column."""
    depth, columns = matrix.shape
    if columns != weight.shape[1] or not 2 <= depth <= weight.shape[0]:
        return None
    for start in _starts(matrix, weight):
        block = weight[start : start + depth].astype(np.float64)
        largest = np.abs(block).argmax(axis=0), np.arange(columns)
        divisor = np.where(block[largest] != 0, block[largest], 1.0)
        factors = matrix[largest] / divisor
        bound = _NEAR * np.abs(matrix).max(axis=0)
        if (np.abs(block * factors - matrix) <= bound).all():
            result: Matrix = factors.astype(np.float32)
            return result
    return None


def _starts(matrix: Matrix, weight: Matrix) -> Iterator[int]:
    """Rows of the weight that the block may begin at: where two rows have the ratios of its first
    two."""
    first, second = matrix[0].astype(np.float64), matrix[1].astype(np.float64)
    one, other = first * weight[1:], second * weight[:-1]
    near = np.abs(one - other) <= _NEAR * (np.abs(one) + np.abs(other)) + 1e-30
    for start in np.flatnonzero(near.all(axis=1)):
        if start + len(matrix) <= len(weight):
            yield int(start)
