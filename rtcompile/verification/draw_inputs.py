"""Inputs of a graph to verify on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rtcompile.codegen.program.program import TILE
from rtcompile.frontends.onnx.id_inputs import IdInputs, id_columns
from rtcompile.frontends.onnx.integer_uses import IntegerUses, integer_uses
from rtcompile.frontends.onnx.length_inputs import length_inputs

__all__ = ["ROW_COUNTS", "Batch", "InputPlan", "generate_inputs", "ordinary"]

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

    def take(self, rows: Sequence[int]) -> Batch:
        """These of its rows. An input with another first axis, of no rows, stays."""
        inputs = {
            name: array[list(rows)] if len(np.atleast_1d(array)) == self.rows else array
            for name, array in self.inputs.items()
        }
        return Batch(inputs, tuple(self.kinds[row] for row in rows), self.overflow[list(rows)])


def ordinary(inputs: Mapping[str, Array], rows: int) -> Batch:
    """A batch of nothing out of the ordinary."""
    return Batch(inputs, ("",) * rows, np.zeros(rows, bool))


@dataclass(frozen=True)
class InputPlan:
    """What may be drawn for each of a graph's inputs. `ports`: a ranker's input ports. `lengths`:
    of sequences, and the most steps; for one of 0 ONNX Runtime leaves out the first state."""

    ports: Sequence[Any]
    ids: IdInputs
    uses: IntegerUses
    lengths: Mapping[str, int]

    @staticmethod
    def of(model: Any, ports: Sequence[Any]) -> InputPlan:
        """Of an onnx.ModelProto."""
        return InputPlan(ports, id_columns(model), integer_uses(model), length_inputs(model))

    @property
    def free_integers(self) -> list[str]:
        """Integer inputs that are no ids, indices, extents or divisors: any value suits."""
        taken = {*self.ids.whole, *self.uses.indices, *self.uses.divisors, *self.lengths}
        integers = [port for port in self.ports if np.dtype(port.dtype).kind in "iu"]
        return [p.name for p in integers if p.name not in taken and not p.per_request]

    def draw(self, rows: int, seed: int) -> dict[str, Array]:
        """`rows` usual rows: numbers from a normal distribution, ids within their tables."""
        rng = np.random.default_rng(seed)
        return {port.name: self._draw(port, rows, rng) for port in self.ports}

    def _draw(self, port: Any, rows: int, rng: np.random.Generator) -> Array:
        shape = port.shape if port.per_request else (rows, *port.shape)
        if port.flat:
            shape = (_flat_values(rows),)
        if port.cuts:
            return _bounds(rows, rng)
        columns = self.ids.columns.get(port.name, {})
        if not np.issubdtype(port.dtype, np.floating):
            if port.name in self.lengths:
                steps = self.lengths[port.name]
                return np.asarray(rng.integers(1, steps + 1, shape)).astype(port.dtype)
            least = int(port.name in self.uses.divisors)
            most = self.ids.whole.get(port.name, 2) + least
            return np.asarray(rng.integers(least, most, shape)).astype(port.dtype)
        values = np.asarray(rng.normal(size=shape))
        for column, table_rows in columns.items():
            values[:, column] = rng.integers(0, table_rows, rows)
        return values.astype(port.dtype)


def _flat_values(rows: int) -> int:
    """How many values flat inputs have: never as many as there are rows."""
    return 3 * rows + 2


def _bounds(rows: int, rng: np.random.Generator) -> Array:
    """int64 [rows, 2]: bags behind one another that cover all values, empty ones among them."""
    inner = np.sort(rng.integers(0, _flat_values(rows) + 1, rows - 1))
    ends = np.append(inner, _flat_values(rows))
    return np.stack([np.append(0, ends[:-1]), ends], axis=1)


def generate_inputs(model: Any, ports: Any, rows: int, seed: int) -> dict[str, Array]:
    """Usual inputs of `rows` rows for an onnx.ModelProto. `ports`: a ranker's input ports."""
    return InputPlan.of(model, ports).draw(rows, seed)
