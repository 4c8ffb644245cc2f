"""Products of two tensors, and dense layers of outer products: cut as dense layers are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from rtcompile.codegen.kernels.batch_matmul import (
    BATCH_MATMUL_KERNEL,
    BatchMatmulShape,
    batch_matmul_kernel,
    scratch_elements,
)
from rtcompile.codegen.kernels.outer_dense import (
    OUTER_DENSE_KERNEL,
    OuterDenseShape,
    outer_dense_kernel,
)
from rtcompile.codegen.kernels.panels import (
    PanelConfig,
    pack_columns,
    pack_weight,
    panel_configs,
    panels,
)
from rtcompile.codegen.program.trials import Config, Task
from rtcompile.relay_passes.dialect.epilogue import Epilogue
from rtcompile.targets import Registers
from rtcompile.tuning.tuned.kernels.base import Case, counts_of
from rtcompile.tuning.tuned.kernels.data import generator, normal
from rtcompile.tuning.tuned.kernels.reference import apply_epilogue

__all__ = ["BatchMatmul", "OuterDense"]


class BatchMatmul:
    """Two small matrices a row."""

    name, version = BATCH_MATMUL_KERNEL
    parameters: ClassVar[dict[str, type]] = dict.fromkeys(
        ("rows", "depth", "columns", "transposed", "least", "most"), int
    )

    def configs(self, task: Task, registers: Registers) -> Sequence[Config]:
        """Ways to cut a product; its panels are packed one by one, so they go first."""
        columns, rows = int(task.values["columns"]), int(task.values["rows"])
        found = panel_configs(registers, columns, rows)
        return [config.as_dict() for config in found if not config.rows_outer]

    def product(self, task: Task) -> tuple[int | str, ...]:
        """The matrices."""
        values = task.values
        return tuple(values[name] for name in ("rows", "depth", "columns", "transposed"))

    def operations(self, task: Task) -> float:
        """Of the product."""
        extents = math.prod(int(task.values[name]) for name in ("rows", "depth", "columns"))
        return float(sum(counts_of(task)) * extents)

    def case(self, task: Task, config: Config, registers: Registers) -> Case:
        """Random matrices."""
        values = {name: int(value) for name, value in task.values.items()}
        rows, depth, columns = values["rows"], values["depth"], values["columns"]
        shape = BatchMatmulShape(rows, depth, columns, bool(values["transposed"]))
        rng, batches, chosen = generator(task), max(counts_of(task)), PanelConfig.of(config)
        left = normal(rng, batches, rows, depth)
        right = normal(rng, batches, depth, columns, scale=depth**-0.5)
        expected = (left.astype(np.float64) @ right).astype(np.float32)
        given = np.swapaxes(right, 1, 2) if shape.transposed else right
        scratch = np.zeros(scratch_elements(shape, registers, chosen), np.float32)
        arrays = (left, np.ascontiguousarray(given), np.zeros_like(expected), scratch)
        function = batch_matmul_kernel(shape, registers, chosen)
        return Case(function, arrays, counts_of(task), 2, expected)


class OuterDense:
    """A dense layer over the products of two vectors a row."""

    name, version = OUTER_DENSE_KERNEL
    parameters: ClassVar[dict[str, type]] = {
        "epilogue": str,
        **dict.fromkeys(("left", "right", "columns", "symmetric", "least", "most"), int),
    }

    def configs(self, task: Task, registers: Registers) -> Sequence[Config]:
        """Ways to cut the product."""
        columns, rows = int(task.values["columns"]), int(task.values["most"])
        found = panel_configs(registers, columns, rows)
        plain = [config for config in found if config.unroll == 1 and not config.rows_outer]
        return [config.as_dict() for config in plain]

    def product(self, task: Task) -> tuple[int | str, ...]:
        """The vectors and the columns."""
        values = task.values
        return tuple(values[name] for name in ("left", "right", "columns", "symmetric"))

    def operations(self, task: Task) -> float:
        """Of the product."""
        extents = math.prod(int(task.values[name]) for name in ("left", "right", "columns"))
        return float(sum(counts_of(task)) * extents)

    def case(self, task: Task, config: Config, registers: Registers) -> Case:
        """A layer of random weights."""
        values, text = task.values, str(task.values["epilogue"])
        left, right, columns = (int(values[name]) for name in ("left", "right", "columns"))
        symmetric, epilogue = bool(values["symmetric"]), Epilogue.parse(text)
        shape = OuterDenseShape(left, right, columns, epilogue, symmetric)
        rng, rows, chosen = generator(task), max(counts_of(task)), PanelConfig.of(config)
        a, b = normal(rng, rows, left), normal(rng, rows, right)
        b = a if symmetric else b
        weight = normal(rng, shape.depth, columns, scale=shape.depth**-0.5)
        bias = normal(rng, columns)
        products = a[:, :, None].astype(np.float64) * b[:, None, :]
        flat = products[(..., *np.triu_indices(left))] if symmetric else products.reshape(rows, -1)
        expected = apply_epilogue(text, flat @ weight + bias, [])
        cut = panels(columns, registers, chosen)
        arrays = (a, b, pack_weight(weight, cut), pack_columns(bias, cut), np.zeros_like(expected))
        function = outer_dense_kernel(shape, registers, chosen)
        return Case(function, arrays, counts_of(task), 4, expected)
