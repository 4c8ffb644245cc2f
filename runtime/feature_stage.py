"""A stage that turns one side's raw columns into graph inputs."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt
import tvm_ffi

from runtime.arrays import aligned_empty
from runtime.column_spec import ColumnSpec, read_specs
from runtime.encode import Encoder
from runtime.encoded import COLUMN_WORDS, Encoded, Mode, Word
from runtime.errors import RequestError
from runtime.items import Snapshot
from runtime.profile import KernelTime, Stopwatch, TimedEncoder
from runtime.scratch import Scratch
from runtime.stage import Port, Results, Stage

__all__ = ["FeatureStage", "check_fields", "where"]


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
        self._stage = Stage(function, description, constants)
        specs = read_specs(description["columns"], assets)
        self._scratch = Scratch(description)
        # A profiled build times the encoding too.
        self._watch = Stopwatch() if "probes" in description else None
        self.columns = tuple(dict.fromkeys(spec.name for spec in specs if spec.name))
        self._columns = len(specs)
        self._parts = {one: self._part(one, specs) for one in ("user", "item", "context")}
        self._encoder = self._timed(Encoder(specs, where(side)))
        # Whether it reads columns of several sides.
        self.is_mixed = any(spec.side != side for spec in specs)

    @property
    def ports(self) -> tuple[Port, ...]:
        """The graph inputs that it computes."""
        return self._stage.outputs

    def run(self, columns: Mapping[str, Sequence[object]], rows: int) -> list[npt.NDArray[Any]]:
        """One array [rows, ...] a port. `columns`: name -> a value a row."""
        encoded = self._encoder.rows(columns, rows)
        with self._scratch.lent(encoded.bound, encoded.shared, encoded.rows) as scratch:
            return self._stage.run(rows, (encoded.columns, scratch))

    def allocate(self, rows: int) -> Results:
        """Memory for the results of `rows` rows, to be filled again and again."""
        return self._stage.allocate(rows)

    def fill(self, columns: Mapping[str, Sequence[object]], rows: int, results: Results) -> None:
        """`run` into the memory of `allocate`."""
        self._fill(self._encoder.rows(columns, rows), results)

    def fill_one(self, fields: Mapping[str, object], results: Results) -> None:
        """`fill` of a single row. `fields`: name -> value."""
        self._fill(self._encoder.one(fields), results)

    def _fill(self, encoded: Encoded, results: Results) -> None:
        with self._scratch.lent(encoded.bound, encoded.shared, encoded.rows) as scratch:
            given = map(tvm_ffi.from_dlpack, (encoded.columns, scratch))
            self._stage.call(encoded.rows, [*given, *results.arguments])

    def fill_mixed(
        self,
        user: Mapping[str, object],
        context: Mapping[str, Sequence[object]],
        items: Snapshot,
        rows: int,
        results: Results,
    ) -> None:
        """`fill`, of columns of every side: of the request's user, of its items, of each row."""
        columns = aligned_empty(self._columns * COLUMN_WORDS, "int64")
        words = columns.reshape(-1, COLUMN_WORDS)
        of_user = self._parts["user"].encoder.one(user, Mode.ONE)
        of_context = self._parts["context"].encoder.rows(context, rows)
        for side, encoded in (("user", of_user), ("context", of_context)):
            words[self._parts[side].places] = encoded.columns.reshape(-1, COLUMN_WORDS)
        places = self._parts["item"].places
        words[places] = items.stored.descriptors
        words[places, Word.PLACES] = items.places.__array_interface__["data"][0]
        bound = items.stored.longest + of_user.bound + of_context.bound
        with self._scratch.lent(bound, of_user.shared + of_context.shared, rows) as scratch:
            given = map(tvm_ffi.from_dlpack, (columns, scratch))
            self._stage.call(rows, [*given, *results.arguments])
        del items, of_user, of_context  # what the descriptors point into, until here

    def profile(self, name: str, tick: float) -> list[KernelTime]:
        """See `Stage.profile`."""
        return self._stage.profile(name, tick)

    def encoding_taken(self) -> int:
        """Nanoseconds of encoding since the last time, of a profiled build."""
        return self._watch.taken() if self._watch else 0

    def _part(self, side: str, specs: Sequence[ColumnSpec]) -> _Part:
        places = [i for i, spec in enumerate(specs) if spec.side == side]
        encoder = Encoder([specs[i] for i in places], where(side))
        return _Part(places, self._timed(encoder))

    def _timed(self, encoder: Encoder) -> Encoder | TimedEncoder:
        return TimedEncoder(encoder, self._watch) if self._watch else encoder

    @property
    def item_specs(self) -> tuple[ColumnSpec, ...]:
        """The item columns that it reads beside those of other sides."""
        return self._parts["item"].encoder.specs


@dataclass(frozen=True)
class _Part:
    """The columns of one side, and where they stand among all."""

    places: list[int]
    encoder: Encoder | TimedEncoder


def where(side: str) -> Callable[[str], str]:
    """How messages name the fields of a side."""
    return lambda name: f"{side} field {name!r}"


def check_fields(side: str, given: object, wanted: Mapping[str, object]) -> Mapping[str, Any]:
    """`given` as the mapping of fields that a side needs. Raises RequestError for any other."""
    if not isinstance(given, Mapping):
        raise RequestError(f"{side}: a mapping of fields, not {type(given).__name__}")
    if given.keys() == wanted.keys():
        return given
    missing = [name for name in wanted if name not in given]
    surplus = [name for name in given if name not in wanted]
    parts = [f"missing {', '.join(map(repr, missing))}"] if missing else []
    for name in surplus:
        near = difflib.get_close_matches(str(name), missing or wanted, n=1)
        parts.append(f"unknown {name!r}" + (f" (did you mean {near[0]!r}?)" if near else ""))
    known = ", ".join(wanted) or "no fields"
    raise RequestError(f"{side}: {'; '.join(parts)}. The model takes {known}")
