"""Dense layers: the config says how the product is cut (`codegen/panels.py`)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rtcompile.codegen.kernels.dense import (
    DENSE_KERNEL,
    dense_configs,
    dense_kernel,
    dense_panels,
)
from rtcompile.codegen.kernels.dense_shape import DenseShape
from rtcompile.codegen.kernels.k_blocks import pack_parts
from rtcompile.codegen.kernels.narrow_dense import (
    NARROW_DENSE_KERNEL,
    NARROW_DENSE_ROWS,
    narrow_dense_kernel,
    pack_narrow_row,
    pack_narrow_weight,
)
from rtcompile.codegen.kernels.panels import PanelConfig, pack_columns
from rtcompile.codegen.program.trials import Config, Task
from rtcompile.relay_passes.dialect.epilogue import Epilogue
from rtcompile.targets import Registers
from rtcompile.tuning.tuned.kernels.base import Case, counts_of
from rtcompile.tuning.tuned.kernels.data import Floats, generator, normal
from rtcompile.tuning.tuned.kernels.reference import apply_epilogue, stream_shape

__all__ = ["Dense", "NarrowDense"]

_PARAMETERS: dict[str, type] = {
    "depth": int,
    "columns": int,
    "epilogue": str,
    "least": int,
    "most": int,
}


def _shape(task: Task) -> DenseShape:
    values = task.values
    epilogue = Epilogue.parse(str(values["epilogue"]))
    return DenseShape(int(values["depth"]), int(values["columns"]), epilogue)


def _operations(task: Task) -> float:
    return float(sum(counts_of(task)) * int(task.values["depth"]) * int(task.values["columns"]))


class _Data:
    """The arrays of a layer before they are packed, and its result."""

    def __init__(self, task: Task, shape: DenseShape) -> None:
        rng, rows = generator(task), max(counts_of(task))
        self.x = normal(rng, rows, shape.depth)
        self.weight = normal(rng, shape.depth, shape.columns, scale=shape.depth**-0.5)
        self.bias = normal(rng, shape.columns)
        forms = shape.epilogue.streams
        self.streams = [normal(rng, *stream_shape(f, rows, shape.columns)) for f in forms]
        acc = self.x.astype(np.float64) @ self.weight + self.bias
        self.expected = apply_epilogue(str(shape.epilogue), acc, self.streams)


class Dense:
    """The template of panels."""

    name, version = DENSE_KERNEL
    parameters = _PARAMETERS

    def configs(self, task: Task, registers: Registers) -> Sequence[Config]:
        """Ways to cut the product."""
        rows = int(task.values["most"])
        return [config.as_dict() for config in dense_configs(_shape(task), registers, rows)]

    def product(self, task: Task) -> tuple[int | str, ...]:
        """Depth and columns, and whether calls have one row."""
        values = task.values
        return values["depth"], values["columns"], int(values["most"] == 1)

    def operations(self, task: Task) -> float:
        """Of the product."""
        return _operations(task)

    def case(self, task: Task, config: Config, registers: Registers) -> Case:
        """A layer of random weights."""
        shape, chosen = _shape(task), PanelConfig.of(config)
        data, cut = _Data(task, shape), dense_panels(shape.columns, registers, chosen)

        def stream(form: str, array: Floats) -> Floats:
            return pack_columns(array.reshape(-1), cut) if form == "row" else array

        arrays = (
            data.x,
            pack_parts(data.weight, cut, chosen),
            pack_columns(data.bias, cut),
            *map(stream, shape.epilogue.streams, data.streams),
            np.zeros_like(data.expected),
        )
        function = dense_kernel(shape, registers, chosen)
        last = len(arrays) - 1
        return Case(function, arrays, counts_of(task), last, data.expected)


class NarrowDense:
    """The template of dot products, for few columns."""

    name, version = NARROW_DENSE_KERNEL
    parameters = _PARAMETERS

    def configs(self, task: Task, registers: Registers) -> Sequence[Config]:
        """Rows side by side."""
        most = min(int(task.values["most"]), registers.count // int(task.values["columns"]))
        rows = dict.fromkeys([NARROW_DENSE_ROWS, *(r for r in (1, 2, 3, 6, 8, 12) if r <= most)])
        return [{"rows": count} for count in rows]

    def product(self, task: Task) -> tuple[int | str, ...]:
        """Depth and columns, and whether calls have one row."""
        values = task.values
        return values["depth"], values["columns"], int(values["most"] == 1)

    def operations(self, task: Task) -> float:
        """Of the product."""
        return _operations(task)

    def case(self, task: Task, config: Config, registers: Registers) -> Case:
        """A layer of random weights."""
        shape = _shape(task)
        data = _Data(task, shape)

        def stream(form: str, array: Floats) -> Floats:
            return pack_narrow_row(array) if form == "row" else array

        arrays = (
            data.x,
            pack_narrow_weight(data.weight),
            pack_narrow_row(data.bias),
            *map(stream, shape.epilogue.streams, data.streams),
            np.zeros_like(data.expected),
        )
        function = narrow_dense_kernel(shape, config["rows"])
        last = len(arrays) - 1
        return Case(function, arrays, counts_of(task), last, data.expected)
