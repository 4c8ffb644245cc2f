"""A stage that turns one side's raw columns into graph inputs."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy.typing as npt
import tvm_ffi

from runtime.encode import ColumnSpec, encode
from runtime.errors import RequestError
from runtime.stage import Port, Stage

__all__ = ["FeatureStage", "check_fields"]


class FeatureStage:
    """Runs a side's features. Safe to call from many threads at once."""

    def __init__(self, side: str, function: Any, description: Any, constants: Any) -> None:
        self._side = side
        self._stage = Stage(function, description, constants)
        self._specs = tuple(ColumnSpec.from_json(spec) for spec in description["columns"])
        self.columns = tuple(dict.fromkeys(spec.name for spec in self._specs))

    @property
    def ports(self) -> tuple[Port, ...]:
        """The graph inputs that it computes."""
        return self._stage.outputs

    def run(self, columns: Mapping[str, Sequence[object]], rows: int) -> list[npt.NDArray[Any]]:
        """One array [rows, ...] a port. `columns`: name -> a value a row."""
        encoded = encode(self._specs, columns, rows, self._where)
        return self._stage.run(rows, (encoded.columns,))

    def allocate(self, rows: int) -> list[Any]:
        """Tensors for the results of `rows` rows, to be filled again and again."""
        return [tvm_ffi.from_dlpack(array) for array in self._stage.allocate(rows)]

    def fill(self, columns: Mapping[str, Sequence[object]], rows: int, results: list[Any]) -> None:
        """`run` into the tensors of `allocate`."""
        encoded = encode(self._specs, columns, rows, self._where)
        self._stage.call(rows, [tvm_ffi.from_dlpack(encoded.columns), *results])

    def _where(self, name: str) -> str:
        return f"{self._side} field {name!r}"


def check_fields(side: str, given: object, wanted: Sequence[str]) -> Mapping[str, Any]:
    """`given` as the mapping of fields that a side needs. Raises RequestError for any other."""
    if not isinstance(given, Mapping):
        raise RequestError(f"{side}: a mapping of fields, not {type(given).__name__}")
    if given.keys() == set(wanted):
        return given
    missing = [name for name in wanted if name not in given]
    surplus = [name for name in given if name not in wanted]
    parts = [f"missing {', '.join(map(repr, missing))}"] if missing else []
    for name in surplus:
        near = difflib.get_close_matches(str(name), missing or wanted, n=1)
        parts.append(f"unknown {name!r}" + (f" (did you mean {near[0]!r}?)" if near else ""))
    known = ", ".join(wanted) or "no fields"
    raise RequestError(f"{side}: {'; '.join(parts)}. The model takes {known}")
