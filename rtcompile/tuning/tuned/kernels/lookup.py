"""Embedding look-ups: how many rows ahead a table's lines are fetched.

Each run has ids of its own, spread over the table: rows come from where they lie in service.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from rtcompile.codegen.kernels.embedding_lookup import (
    LOOKUP_KERNEL,
    NEAR_BYTES,
    LookupShape,
    default_ahead,
    lookup_kernel,
)
from rtcompile.codegen.program.pack_table import pack_table, unpack_table
from rtcompile.codegen.program.table_format import TableFormat
from rtcompile.codegen.program.trials import Config, Task
from rtcompile.runtime.abi.status import Status
from rtcompile.targets import Registers
from rtcompile.tuning.tuned.kernels.base import Case, counts_of, runs_of
from rtcompile.tuning.tuned.kernels.data import generator, normal

__all__ = ["EmbeddingLookup"]

_AHEAD = (0, 4, 8, 12, 16, 24, 32)
_BYTES = {0: NEAR_BYTES // 4, 1: 16 * NEAR_BYTES}  # of a table, near and far


class EmbeddingLookup:
    """Rows of a table by ids."""

    name, version = LOOKUP_KERNEL
    parameters: ClassVar[dict[str, type]] = {
        **dict.fromkeys(("dtype", "ids"), str),
        **dict.fromkeys(("dimension", "width", "far", "least", "most"), int),
    }

    def configs(self, task: Task, registers: Registers) -> Sequence[Config]:
        """Distances."""
        found = dict.fromkeys((default_ahead(_shape(task)), *_AHEAD))
        return [{"ahead": ahead} for ahead in found]

    def product(self, task: Task) -> tuple[int | str, ...]:
        """The table's format, and how near it is."""
        values = task.values
        return tuple(values[name] for name in ("dtype", "dimension", "ids", "far"))

    def operations(self, task: Task) -> float:
        """As many as a row's copy and a miss take the time of."""
        return float(sum(counts_of(task)) * (int(task.values["dimension"]) + 100))

    def case(self, task: Task, config: Config, registers: Registers) -> Case:
        """A table of random rows."""
        shape, rng, count = _shape(task), generator(task), max(counts_of(task))
        dimension, width = shape.table.dimension, shape.width
        rows = max(_BYTES[int(task.values["far"])] // shape.table.row_bytes, 1)
        packed = pack_table("tuned", normal(rng, rows, dimension), shape.table)
        runs = runs_of(self, task)
        ids = rng.integers(0, rows, (runs, count, width)).astype(shape.id_dtype)
        expected = unpack_table(packed, shape.table)[ids[-1, :, 0].astype(np.int64)]
        arrays: tuple[npt.NDArray[Any], ...] = (
            packed.view(shape.table.storage),
            ids,
            np.zeros_like(expected),
            np.zeros(Status.WORDS, np.int64),
        )
        function, scalars = lookup_kernel(shape, config["ahead"]), (0, rows, 0, 0, 1)
        steps = {1: count * width}
        return Case(function, arrays, counts_of(task), 2, expected, scalars, steps=steps)


def _shape(task: Task) -> LookupShape:
    values = task.values
    table = TableFormat(str(values["dtype"]), int(values["dimension"]))
    return LookupShape(table, str(values["ids"]), int(values["width"]))
