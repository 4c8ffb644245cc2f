"""Lower features to kernel calls of a stage: one call a feature, straight into its output.

The stage's one input is the encoded columns' descriptors (`runtime/encode.py`); its outputs are
added one by one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rtcompile.codegen.constants import ConstantStore
from rtcompile.codegen.features.bucketize import vocabulary_table
from rtcompile.codegen.features.feature_kernel import feature_kernel, kernel_name
from rtcompile.codegen.features.lengths import lengths_kernel, lengths_kernel_name
from rtcompile.codegen.features.numbers import dense_kernel_name, dense_number_kernel
from rtcompile.codegen.features.producers import producer_of
from rtcompile.codegen.features.sinks import SinkShape
from rtcompile.codegen.loop_calls import loop_calls
from rtcompile.codegen.program import KernelCall, Lookup, Pointer, Port, Space, StageProgram
from rtcompile.features.plan import Boundaries, Feature, HashBucket, Vocabulary
from rtcompile.features.reference import bucketize, default_numbers
from runtime.encode import ColumnSpec

__all__ = ["FeatureStage", "TablePlace", "column_spec"]

_COLUMNS_PORT = Port("columns", "int64", (), per_request=True)
_COLUMNS = Pointer(Space.INPUT, index=0)


@dataclass(frozen=True)
class TablePlace:
    """An embedding table in the constants."""

    name: str
    at: Pointer
    rows: int
    dimension: int


def column_spec(feature: Feature) -> ColumnSpec:
    """How the feature's raw column is encoded."""
    sequence = feature.sequence
    return ColumnSpec(
        feature.input.name,
        "text" if feature.kind == "id" else "number",
        feature.separator,
        sequence.delimiter if sequence else None,
        sequence.length if sequence else 0,
        feature.kv_separator if feature.weighted else b"",
        feature.prefix,
    )


@dataclass
class FeatureStage:
    """A stage of features while it is put together."""

    name: str
    constants: ConstantStore
    columns: list[ColumnSpec] = field(default_factory=list)
    outputs: list[Port] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._program = StageProgram(self.name, (_COLUMNS_PORT,), ())

    def finish(self) -> StageProgram:
        """The program, once every output is added."""
        self._program.outputs = tuple(self.outputs)
        order = sorted(self._program.calls, key=lambda call: getattr(call, "kernel", ""))
        self._program.calls = order  # equal kernels side by side, so that they share a loop
        loop_calls(self._program, self.constants)
        return self._program

    def _output(self, port: Port) -> Pointer:
        self.outputs.append(port)
        return Pointer(Space.OUTPUT, index=len(self.outputs) - 1)

    def _column(self, feature: Feature) -> int:
        spec = column_spec(feature)
        if spec not in self.columns:
            self.columns.append(spec)
        return self.columns.index(spec)

    # -- into a network's input -----------------------------------------------------------------

    def add_numbers(self, feature: Feature, port: Port) -> None:
        """A dense raw feature: [rows, value_dim], or [rows, length, value_dim]."""
        self._numbers(feature, self._output(port), ragged=False)

    def add_ids(self, feature: Feature, port: Port) -> None:
        """Ids, padded with zeros: [rows], [rows, width], or a sequence's [rows, length]."""
        sequence = feature.sequence is not None
        width = 1 if sequence else port.row_elements
        form = "one" if width == 1 and not sequence else "padded"
        status = Pointer(Space.STATUS)
        shape = SinkShape(form, port.dtype)
        self._program.features.append(feature.name)
        number = len(self._program.features) - 1
        self._ids(feature, shape, (self._output(port), status), (width, number))

    def add_pooled(self, feature: Feature, port: Port, table: TablePlace) -> None:
        """The pooled embedding: [rows, dimension], or [rows, length, dimension]."""
        assert feature.embedding is not None
        shape = SinkShape(feature.embedding.pooling, "float32", table.dimension, feature.weighted)
        self._program.lookups.append(Lookup(table.name, table.rows))
        number = len(self._program.lookups) - 1
        pointers = (table.at, self._output(port), Pointer(Space.STATUS))
        self._ids(feature, shape, pointers, (table.rows, number))

    def add_lengths(self, feature: Feature, port: Port) -> None:
        """Elements a row of the feature's sequence."""
        assert feature.sequence is not None
        self._lengths(feature, self._output(port), port.dtype)

    # -- as columns -----------------------------------------------------------------------------

    def add_column(self, feature: Feature) -> None:
        """The feature's values as they are: outputs NAME.values, .weights, .counts, .lengths."""
        flat = {
            "values": "int64" if feature.sparse else "float32",
            **({"weights": "float32"} if feature.weighted else {}),
            **({"counts": "int64", "cursor": "int64"} if feature.sparse else {}),
        }
        at = {
            part: self._output(Port(f"{feature.name}.{part}", dtype, (), True))
            for part, dtype in flat.items()
        }
        if feature.sparse:
            shape = SinkShape("ragged", "int64", weighted=feature.weighted)
            self._ids(feature, shape, tuple(at.values()), (0, 0))
        elif feature.sequence is None:
            self.outputs.pop()
            port = Port(f"{feature.name}.values", "float32", (feature.value_dim,))
            self._numbers(feature, self._output(port), ragged=False)
        else:
            self._numbers(feature, at["values"], ragged=True)
        if feature.sequence is not None:
            port = Port(f"{feature.name}.lengths", "int64", ())
            self._lengths(feature, self._output(port), "int64")

    # -- calls ----------------------------------------------------------------------------------

    def _ids(
        self, feature: Feature, shape: SinkShape, sink: tuple[Pointer, ...], ends: tuple[int, int]
    ) -> None:
        producer, sequence = producer_of(feature), feature.sequence is not None
        name = kernel_name(producer, shape, sequence)
        if name not in self._program.kernels:
            self._program.kernels[name] = feature_kernel(producer, shape, sequence)
        beside, detail, unlisted = self._bucketizer(feature)
        defaults = self._default_ids(feature)
        pointers = (_COLUMNS, *beside, self.constants.add(defaults), *sink)
        separator = feature.separator[0] if len(feature.separator) == 1 else 0
        length = feature.sequence.length if feature.sequence else 0
        scalars = (
            *(self._column(feature), feature.value_dim, _count(defaults, feature), length, *ends),
            *(detail, unlisted, separator),
        )
        self._program.calls.append(KernelCall(name, pointers, 1, scalars, with_start=True))

    def _bucketizer(self, feature: Feature) -> tuple[tuple[Pointer, ...], int, int]:
        """(constants, detail, id of what is not listed)."""
        by = feature.bucketizer
        if isinstance(by, HashBucket):
            return (), by.buckets, 0
        if isinstance(by, Vocabulary):
            slots, words = vocabulary_table(by.entries)
            places = (self.constants.add(slots), self.constants.add(words))
            return places, len(slots) - 1, by.default_code
        if isinstance(by, Boundaries):
            edges = self.constants.add(np.array(by.values, np.float32))
            numbers = self.constants.add(np.array(default_numbers(feature), np.float64))
            return (edges, numbers), len(by.values), 0
        return (), 0, 0

    def _default_ids(self, feature: Feature) -> Any:
        if feature.kind == "raw":
            return np.zeros(1, np.int64)
        ids = [bucketize(feature, token) for token in feature.default]
        return np.array(ids[: feature.value_dim or None] or [0], np.int64)

    def _numbers(self, feature: Feature, out: Pointer, ragged: bool) -> None:
        sequence = feature.sequence is not None
        name = dense_kernel_name(feature.normalizer, sequence, ragged)
        if name not in self._program.kernels:
            kernel = dense_number_kernel(feature.normalizer, sequence, ragged)
            self._program.kernels[name] = kernel
        defaults = self.constants.add(np.array(default_numbers(feature), np.float64))
        length = feature.sequence.length if feature.sequence else 0
        scalars = (self._column(feature), feature.value_dim, length)
        pointers = (_COLUMNS, defaults, out)
        self._program.calls.append(KernelCall(name, pointers, 1, scalars, with_start=True))

    def _lengths(self, feature: Feature, out: Pointer, dtype: str) -> None:
        name = lengths_kernel_name(dtype)
        if name not in self._program.kernels:
            self._program.kernels[name] = lengths_kernel(dtype)
        assert feature.sequence is not None
        scalars = (self._column(feature), feature.sequence.length)
        pointers = (_COLUMNS, out)
        self._program.calls.append(KernelCall(name, pointers, 1, scalars, with_start=True))


def _count(defaults: Any, feature: Feature) -> int:
    """How many default ids there are; the constant itself is never empty."""
    return len(defaults) if feature.default and feature.kind == "id" else 0
