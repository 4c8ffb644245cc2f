"""Inputs of a graph to verify on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rtcompile.codegen.program import TILE
from rtcompile.frontends.id_inputs import id_columns

__all__ = ["ROW_COUNTS", "Batch", "generate_inputs", "ordinary"]

# Below, at and above the size of a tile, so that tiling and remainders are compared too.
ROW_COUNTS = (1, 2, 7, TILE, TILE + 37)

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Batch:
    """Inputs of `rows` rows. `kinds`: what is out of the ordinary in each, "" for nothing.

    `overflow`: which of them hold numbers that float32 may not carry through the graph.
    """

    inputs: Mapping[str, Array]
    kinds: tuple[str, ...]
    overflow: npt.NDArray[np.bool_]

    @property
    def rows(self) -> int:
        """How many."""
        return len(self.kinds)

    @property
    def hostile(self) -> npt.NDArray[np.bool_]:
        """Which rows are out of the ordinary."""
        return np.array([bool(kind) for kind in self.kinds], bool)


def ordinary(inputs: Mapping[str, Array], rows: int) -> Batch:
    """A batch of nothing out of the ordinary."""
    return Batch(inputs, ("",) * rows, np.zeros(rows, bool))


def generate_inputs(model: Any, ports: Any, rows: int, seed: int) -> dict[str, Array]:
    """Random inputs of `rows` rows for an onnx.ModelProto: numbers from a normal distribution, ids
    within their tables. `ports`: a ranker's input ports."""
    rng = np.random.default_rng(seed)
    ids = id_columns(model)
    inputs: dict[str, Array] = {}
    for port in ports:
        shape = port.shape if port.per_request else (rows, *port.shape)
        if np.issubdtype(port.dtype, np.floating):
            values = rng.normal(size=shape)
        else:
            values = rng.integers(0, ids.whole.get(port.name, 2), shape).astype(np.float64)
        for column, table_rows in ids.columns.get(port.name, {}).items():
            values[:, column] = rng.integers(0, table_rows, rows)
        inputs[port.name] = values.astype(port.dtype)
    return inputs
