"""Lower features to kernel calls of a stage: one call a feature, straight into its output.

The stage's inputs are the encoded columns' descriptors (`runtime/encode.py`) and scratch memory;
its outputs are added one by one.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from rtcompile.codegen.constants import ConstantStore, Table
from rtcompile.codegen.features.feature_kernel import feature_kernel, kernel_name
from rtcompile.codegen.features.lengths import lengths_kernel, lengths_kernel_name
from rtcompile.codegen.features.probe_table import (
    TABLE_KINDS,
    table_kernel,
    table_kernel_name,
)
from rtcompile.codegen.features.row_keys import (
    BYTES_A_TILE,
    has_row_keys,
    row_keys_kernel,
    row_keys_kernel_name,
)
from rtcompile.codegen.features.sinks import SinkShape
from rtcompile.codegen.features.slots import Slots, collect_slots
from rtcompile.codegen.loop_calls import loop_calls
from rtcompile.codegen.program import KernelCall, Lookup, Pointer, Port, Space, StageProgram
from rtcompile.features.column_specs import column_readers, column_spec
from rtcompile.features.plan import Constant, Feature, Input
from runtime.column_spec import ColumnSpec
from runtime.operator_library import LibraryFunction

__all__ = ["FeatureStage"]

_PORTS = (
    Port("columns", "int64", (), per_request=True),
    Port("scratch", "uint8", (), per_request=True),
)
_COLUMNS, _SCRATCH = Pointer(Space.INPUT, index=0), Pointer(Space.INPUT, index=1)


def _place(output: int) -> Pointer:
    """An output's entry in the table of outputs."""
    return Pointer(Space.OUTPUT_TABLE, 2 * output)


@dataclass
class FeatureStage:
    """A stage of features while it is put together."""

    name: str
    constants: ConstantStore
    columns: list[ColumnSpec] = field(default_factory=list)
    outputs: list[Port] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._program = StageProgram(self.name, _PORTS, (), output_table=True)
        # (separator, columns) -> what makes the keys of a tile's rows
        self._row_keys: dict[tuple[int, ...], KernelCall] = {}

    def finish(self) -> StageProgram:
        """The program, once every output is added."""
        self._program.outputs = tuple(self.outputs)
        self._add_tables()
        order = sorted(self._program.calls, key=lambda call: getattr(call, "kernel", ""))
        # Equal kernels side by side, so that they share a loop; first what others read.
        keys = sorted(self._row_keys.values(), key=lambda call: call.kernel)
        self._program.calls = [*keys, *order]
        loop_calls(self._program, self.constants)
        return self._program

    def _add_tables(self) -> None:
        """A probe table for each map, made before the first tile."""
        for number, spec in enumerate(self.columns):
            if spec.kind in TABLE_KINDS and spec.delimiter is None:
                name = table_kernel_name(spec.kind)
                if name not in self._program.kernels:
                    self._program.kernels[name] = table_kernel(spec.kind)
                call = KernelCall(name, (_COLUMNS, _SCRATCH), 1, (number,))
                self._program.prologue.append(call)

    def _output(self, port: Port) -> Pointer:
        self.outputs.append(port)
        return _place(len(self.outputs) - 1)

    def _column(self, feature: Feature, read: Input | Constant | LibraryFunction) -> int:
        spec = column_spec(feature, read)
        if spec not in self.columns:
            self.columns.append(spec)
        return self.columns.index(spec)

    # -- into a network's input -----------------------------------------------------------------

    def add_numbers(self, feature: Feature, port: Port) -> None:
        """Numbers: [rows, value_dim], or [rows, length, value_dim]."""
        shape = SinkShape("dense", port.dtype)
        self._call(feature, shape, (self._output(port),), (feature.value_dim, 0))

    def add_ids(self, feature: Feature, port: Port) -> None:
        """Ids, padded with zeros: [rows], [rows, width], or a sequence's [rows, length]."""
        sequence = feature.sequence is not None
        width = 1 if sequence else port.row_elements
        form = "one" if width == 1 and not sequence else "padded"
        self._program.features.append(feature.name)
        number = len(self._program.features) - 1
        pointers = (self._output(port), Pointer(Space.STATUS))
        self._call(feature, SinkShape(form, port.dtype), pointers, (width, number))

    def add_pooled(self, feature: Feature, port: Port, table: Table) -> None:
        """The pooled embedding: [rows, dimension], or [rows, length, dimension]."""
        assert feature.embedding is not None
        shape = SinkShape(feature.embedding.pooling, "float32", table.format, feature.weighted)
        self._program.lookups.append(Lookup(table.name, table.rows))
        number = len(self._program.lookups) - 1
        pointers = (table.at, self._output(port), Pointer(Space.STATUS))
        self._call(feature, shape, pointers, (table.rows, number))

    def add_lengths(self, feature: Feature, port: Port) -> None:
        """Elements a row of the feature's sequence."""
        self._lengths(feature, self._output(port), port.dtype)

    # -- as columns -----------------------------------------------------------------------------

    def add_column(self, feature: Feature) -> None:
        """The feature's values as they are: outputs NAME.values, .weights, .counts, .lengths."""
        name, sequence = feature.name, feature.sequence is not None
        if feature.sparse:
            parts = [("values", "int64"), ("counts", "int64"), ("cursor", "int64")]
            if feature.weighted:
                parts.insert(1, ("weights", "float32"))
            shape = SinkShape("ragged", "int64", weighted=feature.weighted)
        elif sequence:
            parts = [("values", "float32"), ("cursor", "int64")]
            shape = SinkShape("ragged_dense", "float32")
        else:
            parts, shape = [], SinkShape("dense", "float32")
            self.outputs.append(Port(f"{name}.values", "float32", (feature.value_dim,)))
        first = len(self.outputs) - (0 if parts else 1)
        self.outputs += [Port(f"{name}.{part}", dtype, (), True) for part, dtype in parts]
        at = tuple(_place(i) for i in range(first, len(self.outputs)))
        self._call(feature, shape, at, (feature.value_dim, 0))
        if sequence:
            self._lengths(feature, self._output(Port(f"{name}.lengths", "int64", ())), "int64")

    # -- calls ----------------------------------------------------------------------------------

    def _call(
        self, feature: Feature, shape: SinkShape, sink: tuple[Pointer, ...], ends: tuple[int, int]
    ) -> None:
        slots = collect_slots(feature, self._column)
        name = kernel_name(feature, shape)
        if name not in self._program.kernels:
            self._program.kernels[name] = feature_kernel(feature, shape, slots)
        constants = [self.constants.add(array) for array in slots.constants.values()]
        length = feature.sequence.length if feature.sequence else 0
        scalars = (length, *ends, *slots.scalars.values())
        keys = (self._keys(feature, slots),) if has_row_keys(feature) else ()
        pointers = (_COLUMNS, _SCRATCH, *keys, *constants, *sink)
        self._program.calls.append(KernelCall(name, pointers, 1, scalars, with_start=True))

    def _keys(self, feature: Feature, slots: Slots) -> Pointer:
        """The keys that the feature looks up, of a tile's rows; see `row_keys.py`."""
        count = len(feature.inputs) - 1
        columns = [slots.scalars[f"column_{k + 1}"] for k in range(count)]
        scalars = (slots.scalars["separator"], *columns)
        if scalars not in self._row_keys:
            name = row_keys_kernel_name(count)
            if name not in self._program.kernels:
                self._program.kernels[name] = row_keys_kernel(count)
            keys = Pointer(Space.WORKSPACE, self._program.workspace_bytes)
            self._program.workspace_bytes += BYTES_A_TILE
            call = KernelCall(name, (_COLUMNS, keys), 1, scalars, with_start=True)
            self._row_keys[scalars] = call
        return self._row_keys[scalars].pointers[1]

    def _lengths(self, feature: Feature, out: Pointer, dtype: str) -> None:
        """Of the feature's longest sequence column."""
        assert feature.sequence is not None
        read = [(owner, c) for owner, c in column_readers(feature) if c.sequence]
        columns = [self._column(owner, c) for owner, c in read]
        name = lengths_kernel_name(dtype, len(columns))
        if name not in self._program.kernels:
            self._program.kernels[name] = lengths_kernel(dtype, len(columns))
        scalars = (feature.sequence.length, *columns)
        self._program.calls.append(KernelCall(name, (_COLUMNS, out), 1, scalars, with_start=True))
