"""Dense layers in int8 and bf16: cut as those in float32 are.

The data are whole numbers, so that sums are exact and only the epilogue rounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from rtcompile.codegen.kernels.dense_bf16 import (
    DENSE_BF16_KERNEL,
    bf16_panels,
    dense_bf16_kernel,
    pack_bf16_weight,
)
from rtcompile.codegen.kernels.dense_int8 import (
    DENSE_INT8_KERNEL,
    Int8Shape,
    dense_int8_kernel,
    dot_product,
    int8_panels,
    pack_int8_weight,
)
from rtcompile.codegen.kernels.dense_shape import DenseShape
from rtcompile.codegen.kernels.dot_bf16 import DOT_BF16_LLVM, padded_pairs
from rtcompile.codegen.kernels.panels import (
    Panel,
    PanelConfig,
    pack_columns,
    panel_configs,
)
from rtcompile.codegen.kernels.quantize_rows import padded_depth
from rtcompile.codegen.program.trials import Config, Task
from rtcompile.relay_passes.dialect.epilogue import Epilogue
from rtcompile.relay_passes.kernels.quantize_dense import PAIR
from rtcompile.targets import Registers
from rtcompile.tuning.tuned.kernels.base import Case, counts_of
from rtcompile.tuning.tuned.kernels.data import Floats, generator, small
from rtcompile.tuning.tuned.kernels.reference import apply_epilogue, stream_shape

__all__ = ["DenseBf16", "DenseInt8"]

_NUMBERS = ("depth", "columns", "least", "most")
_STEP = 2.0**-6  # of the scores' scale: factors are powers of two
_ONE_OFF = 1.01  # what rounding may move a byte, or the last bit of a bfloat16


class _Layer:
    """What both have: space, product, operations, streams."""

    def _configs(self, task: Task, registers: Registers) -> Sequence[Config]:
        columns, rows = int(task.values["columns"]), int(task.values["most"])
        found = panel_configs(registers, columns, rows)
        plain = [config for config in found if config.unroll == 1 and not config.rows_outer]
        return [config.as_dict() for config in plain]

    def operations(self, task: Task) -> float:
        """Of the product; an instruction does two or four of them."""
        values = task.values
        return float(sum(counts_of(task)) * int(values["depth"]) * int(values["columns"])) / 3


def _shape(task: Task) -> DenseShape:
    values = task.values
    epilogue = Epilogue.parse(str(values["epilogue"]))
    return DenseShape(int(values["depth"]), int(values["columns"]), epilogue)


def _streams(rng: np.random.Generator, shape: DenseShape, rows: int) -> list[Floats]:
    return [small(rng, *stream_shape(f, rows, shape.columns)) for f in shape.epilogue.streams]


def _packed(
    shape: DenseShape, streams: list[Floats], cut: tuple[Panel, ...]
) -> list[npt.NDArray[Any]]:
    return [
        pack_columns(array.reshape(-1), cut) if form == "row" else array
        for form, array in zip(shape.epilogue.streams, streams, strict=True)
    ]


class DenseInt8(_Layer):
    """Bytes by bytes, four at a time."""

    name, version = DENSE_INT8_KERNEL
    parameters: ClassVar[dict[str, type]] = {
        **dict.fromkeys((*_NUMBERS, "dynamic"), int),
        **dict.fromkeys(("epilogue", "output"), str),
    }

    def configs(self, task: Task, registers: Registers) -> Sequence[Config]:
        """Ways to cut the product."""
        return self._configs(task, registers) if registers.int8 else ()

    def product(self, task: Task) -> tuple[int | str, ...]:
        """Depth and columns, if rows have scales, what is stored, and if calls have one row."""
        values = task.values
        names = ("depth", "columns", "dynamic", "output")
        return (*(values[name] for name in names), int(values["most"] == 1))

    def case(self, task: Task, config: Config, registers: Registers) -> Case:
        """A layer of random whole numbers."""
        dense, rng, rows = _shape(task), generator(task), max(counts_of(task))
        shape = Int8Shape(dense, bool(task.values["dynamic"]), str(task.values["output"]))
        cut = int8_panels(dense.columns, registers, PanelConfig.of(config))
        q = rng.integers(126, 131, (rows, padded_depth(dense.depth))).astype(np.uint8)
        w = small(rng, dense.depth, dense.columns).astype(np.int8)
        # As the lowering does: the zero point of q, and what the instruction takes off.
        taken = 128 - dot_product(registers).shift
        start = -taken * w.sum(axis=0, dtype=np.int32)
        factor = np.full(dense.columns, _STEP, np.float32)
        bias, streams = small(rng, dense.columns), _streams(rng, dense, rows)
        sums = (q[:, : dense.depth].astype(np.float64) - 128) @ w
        expected: npt.NDArray[Any] = apply_epilogue(
            str(dense.epilogue), sums * _STEP + bias, streams
        )
        more: list[npt.NDArray[Any]] = [np.ones(rows, np.float32)] if shape.dynamic else []
        tolerance = 1e-4
        if shape.output == "uint8":
            more.append(np.array([16.0, 128.0], np.float32))
            stored = np.zeros((rows, padded_depth(dense.columns)), np.uint8)
            stored[:, : dense.columns] = np.floor(np.clip(expected * 16 + 128, 0, 255) + 0.5)
            expected, tolerance = stored, _ONE_OFF / max(int(stored.max()), 1)
        columns = [pack_columns(row, cut) for row in (start, factor, bias)]
        given = [q, pack_int8_weight(w, cut), *columns, *more, *_packed(dense, streams, cut)]
        arrays = (given[0].reshape(-1).view(np.int32), *given[1:], np.zeros_like(expected))
        function = dense_int8_kernel(shape, registers, PanelConfig.of(config))
        last = len(arrays) - 1
        return Case(function, arrays, counts_of(task), last, expected, tolerance=tolerance)


class DenseBf16(_Layer):
    """Pairs of bfloat16."""

    name, version = DENSE_BF16_KERNEL
    parameters: ClassVar[dict[str, type]] = {
        **dict.fromkeys(_NUMBERS, int),
        **dict.fromkeys(("epilogue", "output"), str),
    }

    def configs(self, task: Task, registers: Registers) -> Sequence[Config]:
        """Ways to cut the product."""
        return self._configs(task, registers) if registers.bf16 else ()

    def product(self, task: Task) -> tuple[int | str, ...]:
        """Depth and columns, what is stored, and whether calls have one row."""
        values = task.values
        return values["depth"], values["columns"], values["output"], int(values["most"] == 1)

    def case(self, task: Task, config: Config, registers: Registers) -> Case:
        """A layer of random whole numbers."""
        shape, rng, rows = _shape(task), generator(task), max(counts_of(task))
        output = str(task.values["output"])
        cut = bf16_panels(shape.columns, registers, PanelConfig.of(config))
        x, w = small(rng, rows, shape.depth), small(rng, shape.depth, shape.columns)
        bias, streams = small(rng, shape.columns), _streams(rng, shape, rows)
        acc = x.astype(np.float64) @ w + bias
        expected: npt.NDArray[Any] = apply_epilogue(str(shape.epilogue), acc, streams)
        tolerance = 1e-4
        if output != "float32":
            stored = np.zeros((rows, PAIR * padded_pairs(shape.columns)), np.uint16)
            stored[:, : shape.columns] = _bits(expected)
            expected, tolerance = stored, _ONE_OFF / max(int(stored.max()), 1)
        pairs = np.zeros((rows, PAIR * padded_pairs(shape.depth)), np.uint16)
        pairs[:, : shape.depth] = _bits(x)
        weight = pack_bf16_weight(_bits(w), cut)
        arrays = (
            pairs.reshape(-1).view(np.int32),
            weight.view(np.int32),
            pack_columns(bias, cut),
            *_packed(shape, streams, cut),
            np.zeros_like(expected),
        )
        function = dense_bf16_kernel(shape, registers, output, PanelConfig.of(config))
        counts, last = counts_of(task), len(arrays) - 1
        return Case(function, arrays, counts, last, expected, (), tolerance, DOT_BF16_LLVM)


def _bits(values: Floats) -> npt.NDArray[np.uint16]:
    """bfloat16, to the nearest."""
    raw = np.ascontiguousarray(values).view(np.uint32)
    rounded = raw + np.uint32(0x7FFF) + ((raw >> np.uint32(16)) & np.uint32(1))
    return (rounded >> np.uint32(16)).astype(np.uint16)
