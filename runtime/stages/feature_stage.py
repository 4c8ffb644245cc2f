"""A stage that turns one side's raw columns into graph inputs."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rtcompile.runtime.abi.encoded import ColumnDescriptor, Mode
from rtcompile.runtime.encoding.column_spec import ColumnSpec, read_specs
from rtcompile.runtime.encoding.column_store import StoredColumns
from rtcompile.runtime.encoding.encode_values import CompiledEncoder
from rtcompile.runtime.encoding.encoded import Encoded
from rtcompile.runtime.encoding.plain_values import items_of
from rtcompile.runtime.encoding.unparsed import UnparsedValues
from rtcompile.runtime.encoding.value_bytes import ValueWriter
from rtcompile.runtime.errors import RequestError
from rtcompile.runtime.ffi import tvm_ffi
from rtcompile.runtime.memory.arrays import aligned_empty
from rtcompile.runtime.memory.scratch import Scratch
from rtcompile.runtime.shorten import first_few, short_repr
from rtcompile.runtime.stages.profile import KernelTime, Stopwatch, TimedEncoder
from rtcompile.runtime.stages.serve_features import FeaturePlan, plan_features
from rtcompile.runtime.stages.stage import Port, Results, Stage

__all__ = ["FeatureStage", "check_fields", "served_plans", "where"]

_NAMED = 5  # of the fields that a model does not take
_NEAR = 100  # characters of such a field that are compared with the model's


class FeatureStage:
    """Runs a side's features. Safe to call from many threads at once."""

    def __init__(
        self,
        side: str,
        function: Any,
        description: Any,
        constants: Any,
        assets: Mapping[str, bytes],
        encode: Any,
        writer: ValueWriter,
        unparsed: UnparsedValues,
    ) -> None:
        """`encode`: the module's function that encodes the values that `writer` has written.
        `unparsed` takes what cannot be read."""
        self.stage = Stage(function, description, constants, side != "item", unparsed.strict)
        specs = read_specs(description["columns"], assets)
        self.scratch = Scratch(description)
        # A profiled build times the encoding too.
        self._watch = Stopwatch() if "probes" in description else None
        self.columns = tuple(dict.fromkeys(spec.name for spec in specs if spec.name))
        self._specs = tuple(specs)
        # Of columns of several sides, one a running call. Lists append and pop atomically.
        self._idle: list[_Columns] = []
        # Whether it reads columns of several sides.
        self.is_mixed = any(spec.side != side for spec in specs)
        self._encode, self._writer, self._unparsed = encode, writer, unparsed
        self.encoder = self._encoder_of(side, specs)
        parts = (self._part(one, specs) for one in ("user", "context"))
        self._parts = [part for part in parts if len(part.places)]
        # By side the columns that it reads.
        self.read = {
            name: {s.name for s in specs if s.side == name} for name in ("user", "context")
        }
        # The item columns that it reads beside those of other sides.
        self.item_specs = tuple(spec for spec in specs if spec.side == "item")
        self._items = _places("item", specs)

    @property
    def ports(self) -> tuple[Port, ...]:
        """The graph inputs that it computes."""
        return self.stage.outputs

    def run(self, columns: Mapping[str, Sequence[object]], rows: int) -> list[npt.NDArray[Any]]:
        """One array [rows, ...] a port. `columns`: name -> a value a row."""
        encoded = self.encoder.rows(columns, rows)
        scratch = self.scratch.take(encoded.bound, encoded.shared, encoded.rows)
        found = self.stage.run(rows, (encoded.columns, scratch.array))
        self.scratch.give_back(scratch)
        self.encoder.give_back(encoded)
        return found

    def allocate(self, rows: int) -> Results:
        """Memory for the results of `rows` rows, to be filled again and again."""
        return self.stage.allocate(rows)

    def fill(self, columns: Mapping[str, Sequence[object]], rows: int, results: Results) -> None:
        """`run` into the memory of `allocate`."""
        encoded = self.encoder.rows(columns, rows)
        scratch = self.scratch.take(encoded.bound, encoded.shared, rows)
        given = tvm_ffi.from_dlpack(encoded.columns)
        self.stage.call(rows, (given, scratch.tensor, *results.arguments))
        self.scratch.give_back(scratch)
        self.encoder.give_back(encoded)

    def fill_one(self, fields: Mapping[str, object], results: Results) -> None:
        """`fill` of a single row, in a stage that has no other calls. `fields`: name -> value."""
        encoded = self.encoder.one(fields)
        scratch = self.scratch.take(encoded.bound, encoded.shared, 1)
        given = tvm_ffi.from_dlpack(encoded.columns)
        self.stage.call_one((given, scratch.tensor, *results.arguments))
        self.scratch.give_back(scratch)
        self.encoder.give_back(encoded)

    def fill_mixed(
        self,
        user: Mapping[str, object],
        context: Mapping[str, Sequence[object]],
        stored: StoredColumns,
        places: int,
        rows: int,
        results: Results,
    ) -> None:
        """`fill`, of columns of every side: of the request's user, of its items, of each row."""
        columns = self._idle.pop() if self._idle else _Columns(len(self._specs))
        words = columns.words
        bound, shared, lent = stored.longest, 0, []
        for part in self._parts:
            encoded = part.encode(user, context, rows)
            words[part.places] = encoded.columns.reshape(-1, ColumnDescriptor.WORDS)
            bound, shared = bound + encoded.bound, shared + encoded.shared
            lent.append((part, encoded))
        words[self._items] = stored.descriptors
        words[self._items, ColumnDescriptor.PLACES] = places
        scratch = self.scratch.take(bound, shared, rows)
        self.stage.call(rows, (columns.tensor, scratch.tensor, *results.arguments))
        self.scratch.give_back(scratch)
        self._idle.append(columns)
        for part, encoded in lent:  # what the descriptors point into, until here
            part.encoder.give_back(encoded)

    def served_plan(
        self, fields: Mapping[str, Sequence[str]], unread: Mapping[str, Sequence[str]]
    ) -> FeaturePlan | None:
        """See `plan_features`."""
        mode = Mode.ONE if self.is_mixed else Mode.ROWS
        return plan_features(self._specs, fields, unread, mode, self.scratch, self._writer)

    def profile(self, name: str, tick: float) -> list[KernelTime]:
        """See `Stage.profile`."""
        return self.stage.profile(name, tick)

    def encoding_taken(self) -> int:
        """Nanoseconds of encoding since the last time, of a profiled build."""
        return self._watch.taken() if self._watch else 0

    def _part(self, side: str, specs: Sequence[ColumnSpec]) -> _Part:
        of_side = [spec for spec in specs if spec.side == side]
        return _Part(side, _places(side, specs), self._encoder_of(side, of_side))

    def _encoder_of(self, side: str, specs: Sequence[ColumnSpec]) -> CompiledEncoder | TimedEncoder:
        encoder = CompiledEncoder(self._encode, self._writer, specs, where(side), self._unparsed)
        return TimedEncoder(encoder, self._watch) if self._watch else encoder


class _Columns:
    """Memory for descriptors. `words`: [columns, words of one]; `tensor`: as the stage takes it."""

    def __init__(self, count: int) -> None:
        array = aligned_empty(count * ColumnDescriptor.WORDS, "int64")
        self.words, self.tensor = (
            array.reshape(-1, ColumnDescriptor.WORDS),
            tvm_ffi.from_dlpack(array),
        )


@dataclass(frozen=True)
class _Part:
    """The columns of one side, and where they stand among all."""

    side: str
    places: npt.NDArray[np.int64]
    encoder: CompiledEncoder | TimedEncoder

    def encode(
        self, user: Mapping[str, object], context: Mapping[str, Sequence[object]], rows: int
    ) -> Encoded:
        """The user's columns, of one row; or the context's, of `rows`."""
        if self.side == "user":
            return self.encoder.one(user, Mode.ONE)
        return self.encoder.rows(context, rows)


def _places(side: str, specs: Sequence[ColumnSpec]) -> npt.NDArray[np.int64]:
    """Which columns are of a side."""
    return np.array([i for i, spec in enumerate(specs) if spec.side == side], np.int64)


def where(side: str) -> Callable[[str], str]:
    """How messages name the fields of a side."""
    return lambda name: f"{side} field {name!r}"


def served_plans(
    stages: dict[str, FeatureStage], fields: Mapping[str, Sequence[str]]
) -> list[FeaturePlan] | None:
    """Of the stages that run in one call, by name; None where compiled code cannot encode a column.

    `fields`: of the user and of the context.
    """
    read = {
        side: {name for stage in stages.values() for name in stage.read[side]} for side in fields
    }
    # Which stage has to ask for the fields of a side that no stage reads.
    asks = {"user": next(iter(stages), None)}
    if fields["context"]:
        asks["context"] = next(reversed(stages), None)
    plans: list[FeaturePlan] = []
    for name, stage in stages.items():
        unread = {
            side: [field for field in fields[side] if field not in read[side]]
            for side in asks
            if asks[side] == name
        }
        plan = stage.served_plan(fields, unread)
        if plan is None:
            return None
        plans.append(plan)
    return plans


def check_fields(side: str, given: object, wanted: Mapping[str, object]) -> Mapping[str, Any]:
    """`given` as the mapping of fields that a side needs. Raises RequestError for any other."""
    if type(given) is not dict and not isinstance(given, Mapping):
        raise RequestError(f"{side}: a mapping of fields, not {type(given).__name__}")
    try:
        # What is checked is what is read: of a mapping of another class, a copy.
        fields = given if type(given) is dict else dict(items_of(given))
        if fields.keys() == wanted.keys():
            return fields
        missing = [name for name in wanted if name not in fields]
        surplus = [name for name in fields if name not in wanted]
    except Exception as error:  # whatever the code of a foreign object raises
        raise RequestError(f"{side}: {type(given).__name__} cannot be read: {error}") from error
    parts = [f"missing {first_few(missing, len(missing), 20)}"] if missing else []
    for name in surplus[:_NAMED]:
        text = str.__str__(name) if isinstance(name, str) else short_repr(name)
        near = difflib.get_close_matches(text[:_NEAR], missing or wanted, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        parts.append(f"unknown {short_repr(name)}{hint}")
    if len(surplus) > _NAMED:
        parts.append(f"{len(surplus) - _NAMED:,} more that are unknown")
    known = ", ".join(wanted) or "no fields"
    raise RequestError(f"{side}: {'; '.join(parts)}. The model takes {known}")
