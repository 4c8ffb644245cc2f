"""The usual stack, as a peer: features in Python, tables in numpy, the network in ONNX Runtime.

Written as a service would have it: the user's features are computed once a request and copied to
its rows; ids are remembered by value, so that nothing is hashed twice; pooling is one numpy call;
ONNX Runtime runs on one thread. Gives the same values as the reference, which the tests check.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rtcompile.bench.bound_model import bind_model
from rtcompile.bench.engines import onnxruntime_session
from rtcompile.bench.usual_maps import MapMemory, reads_map
from rtcompile.bench.usual_numbers import number_column, reads_numbers
from rtcompile.compile.binding import BoundInput, Form
from rtcompile.compile.reference_inputs import graph_inputs
from rtcompile.features.operators import Values
from rtcompile.features.plan import Feature, Input, Side
from rtcompile.features.reference.reference_buckets import bucketize
from rtcompile.features.reference.reference_features import extract_feature
from rtcompile.features.values import elements, to_bytes
from rtcompile.runtime.columns import Column

__all__ = ["UsualStack"]


class UsualStack:
    """Scores requests from raw fields, without anything compiled."""

    def __init__(self, model: Path, features: Path, embeddings: Path | None) -> None:
        self.bound = bind_model(model, features, embeddings)
        self.session = onnxruntime_session(model)
        self._outputs = list(self.bound.outputs)
        self._memories = {b.feature.name: _Memory(b.feature) for b in self.bound.inputs}
        self._items: dict[str, dict[str, Any]] = {}

    def upsert(self, table: Mapping[str, Sequence[Any]], key: str = "item_id") -> None:
        """Keep items' raw fields by id."""
        for row, item in enumerate(table[key]):
            self._items[str(item)] = {name: values[row] for name, values in table.items()}

    def fields(self, items: Sequence[str]) -> list[dict[str, Any]]:
        """The raw fields of items."""
        return [self._items[item] for item in items]

    def rank(
        self,
        user: Mapping[str, Any],
        items: Sequence[str],
        context: Mapping[str, Sequence[Any]] | None = None,
    ) -> dict[str, npt.NDArray[Any]]:
        """Graph output -> array [items, ...]."""
        results = self.session.run(self._outputs, self.inputs(user, items, context))
        return dict(zip(self._outputs, results, strict=True))

    def inputs(
        self,
        user: Mapping[str, Any],
        items: Sequence[str],
        context: Mapping[str, Sequence[Any]] | None = None,
    ) -> dict[str, npt.NDArray[Any]]:
        """The network's inputs of a request."""
        rows = self.fields(items)
        found: dict[str, npt.NDArray[Any]] = {}
        for b in self.bound.inputs:
            columns = {c.name: _values(c, user, rows, context or {}) for c in b.feature.columns}
            array = self._one(b, columns)
            found[b.port.name] = np.repeat(array, len(rows), 0) if b.side is Side.USER else array
        return found

    def _one(self, b: BoundInput, columns: dict[str, list[Any]]) -> npt.NDArray[Any]:
        column = self._memories[b.feature.name].column(columns, lengths=b.form is Form.LENGTHS)
        return graph_inputs([b], {b.feature.name: column})[b.port.name]


def _values(
    column: Input,
    user: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    context: Mapping[str, Sequence[Any]],
) -> list[Any]:
    """A raw column's values: one of the user, one an item, or one a row."""
    if column.side is Side.USER:
        return [user[column.name]]
    if column.side is Side.ITEM:
        return [row[column.name] for row in rows]
    return list(context[column.name])


class _Memory:
    """A feature with the ids of its values remembered."""

    def __init__(self, feature: Feature) -> None:
        self._feature = feature
        self._ids: dict[Any, int] = {}
        plain = isinstance(feature.operator, Values) and isinstance(feature.inputs[0], Input)
        # Anything but plain values goes the long way, through the reference.
        self._remembers = plain and not feature.numeric and not feature.weighted
        self._map = MapMemory(feature) if reads_map(feature) else None
        self._numbers = reads_numbers(feature)

    def column(self, columns: dict[str, list[Any]], lengths: bool) -> Column:
        """The feature of each row; a column of one row counts for all."""
        if not self._remembers:
            return self._in_bulk(columns) or self._extracted(columns)
        (values,) = columns.values()
        sequence = self._feature.sequence
        if sequence is None:
            return self._plain(values) or self._extracted(columns)
        parts = [elements(value, sequence.delimiter, sequence.length) for value in values]
        counts = np.array([len(part) for part in parts], np.int64)
        if lengths:
            return Column(np.zeros(0), seq_lengths=counts)
        flat = self._plain([element for part in parts for element in part])
        if flat is None:
            return self._extracted(columns)
        return Column(flat.values, key_lengths=flat.lengths, seq_lengths=counts)

    def _in_bulk(self, columns: dict[str, list[Any]]) -> Column | None:
        """Look-ups in maps, and plain numbers; None where it is neither."""
        if self._map:
            return self._map.column(columns)
        if self._numbers:
            (values,) = columns.values()
            return number_column(self._feature, values)
        return None

    def _extracted(self, columns: dict[str, list[Any]]) -> Column:
        """The long way."""
        rows = max(map(len, columns.values()), default=1)
        whole = {n: v * rows if len(v) == 1 else v for n, v in columns.items()}
        return extract_feature(self._feature, whole, rows)

    def _plain(self, values: list[Any]) -> Column | None:
        """Of strings, integers, and lists of them; None where a value is something else."""
        ids, counts, known = [], [], self._ids
        for value in values:
            tokens = value if isinstance(value, list) else [value]
            row = []
            for token in tokens:
                found = known.get(token)
                if found is None:
                    if not self._learn(token):
                        return None
                    found = known[token]
                row.append(found)
            kept = row[: self._feature.value_dim or None]
            ids += kept
            counts.append(len(kept))
            if not kept:
                return None
        return Column(np.array(ids, np.int64), lengths=np.array(counts, np.int64))

    def _learn(self, token: Any) -> bool:
        """Remember the id of a value that is a single token."""
        if not isinstance(token, str | int) or token == "":
            return False
        text = to_bytes(token)
        if self._feature.separator in text:
            return False
        value = token if self._feature.sequence is None else [token]
        column = extract_feature(self._feature, {self._feature.columns[0].name: [value]}, 1)
        if len(column.values) != 1:
            return False
        self._ids[token] = int(bucketize(self._feature, text))
        return self._ids[token] == int(column.values[0])
