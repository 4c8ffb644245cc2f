"""A stage that turns one side's raw columns into graph inputs."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tvm_ffi

from runtime.arrays import aligned_empty
from runtime.column_spec import ColumnSpec, read_specs
from runtime.encode import COLUMN_WORDS, Mode, Word, encode
from runtime.errors import RequestError
from runtime.items import Snapshot
from runtime.scratch import Scratch
from runtime.stage import Port, Results, Stage

__all__ = ["FeatureStage", "check_fields"]


class FeatureStage:
    """Runs a side's features. Safe to call from many threads at once."""

    def __init__(
        self,
        side: str,
        function: Any,
        description: Any,
        constants: Any,
        assets: Mapping[str, bytes],
    ) -> None:
        self._side = side
        self._stage = Stage(function, description, constants)
        self._specs = read_specs(description["columns"], assets)
        self._scratch = Scratch(description)
        self.columns = tuple(dict.fromkeys(spec.name for spec in self._specs if spec.name))

    @property
    def ports(self) -> tuple[Port, ...]:
        """The graph inputs that it computes."""
        return self._stage.outputs

    def run(self, columns: Mapping[str, Sequence[object]], rows: int) -> list[npt.NDArray[Any]]:
        """One array [rows, ...] a port. `columns`: name -> a value a row."""
        encoded = encode(self._specs, columns, rows, self._where)
        with self._scratch.lent(encoded.bound, encoded.shared) as scratch:
            return self._stage.run(rows, (encoded.columns, scratch))

    def allocate(self, rows: int) -> Results:
        """Memory for the results of `rows` rows, to be filled again and again."""
        return self._stage.allocate(rows)

    def fill(self, columns: Mapping[str, Sequence[object]], rows: int, results: Results) -> None:
        """`run` into the memory of `allocate`."""
        encoded = encode(self._specs, columns, rows, self._where)
        with self._scratch.lent(encoded.bound, encoded.shared) as scratch:
            given = map(tvm_ffi.from_dlpack, (encoded.columns, scratch))
            self._stage.call(rows, [*given, *results.arguments])

    def fill_mixed(
        self,
        parts: Mapping[str, Mapping[str, Sequence[object]]],
        items: Snapshot,
        rows: int,
        results: Results,
    ) -> None:
        """`fill`, of columns of every side: of the request's user, of its items, of each row.

        `parts`: "user" and "context" -> their raw columns.
        """
        words = np.zeros((len(self._specs), COLUMN_WORDS), np.int64)
        alive: list[Any] = [items]
        bound, shared = items.stored.longest, 0
        for side, mode in (("user", Mode.ONE), ("context", Mode.ROWS)):
            places = [i for i, spec in enumerate(self._specs) if spec.side == side]
            specs = [self._specs[i] for i in places]
            count = 1 if side == "user" else rows
            encoded = encode(specs, parts[side], count, lambda n, s=side: f"{s} field {n!r}", mode)  # type: ignore[misc]
            words[places] = encoded.columns.reshape(-1, COLUMN_WORDS)
            bound += encoded.bound
            shared += encoded.shared
            alive.append(encoded)
        places = [i for i, spec in enumerate(self._specs) if spec.side == "item"]
        words[places] = items.stored.descriptors
        if places:
            words[places, Word.PLACES] = items.places.__array_interface__["data"][0]
        columns = aligned_empty(words.size, "int64")
        columns[:] = words.reshape(-1)
        with self._scratch.lent(bound, shared) as scratch:
            given = map(tvm_ffi.from_dlpack, (columns, scratch))
            self._stage.call(rows, [*given, *results.arguments])
        del alive  # what the descriptors point into, until here

    @property
    def item_specs(self) -> tuple[ColumnSpec, ...]:
        """The item columns that it reads beside those of other sides."""
        return tuple(spec for spec in self._specs if spec.side == "item")

    @property
    def is_mixed(self) -> bool:
        """Whether it reads columns of several sides."""
        return any(spec.side != self._side for spec in self._specs)

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
