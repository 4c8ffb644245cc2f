"""Lower features to kernel calls of a stage: one call a feature, straight into its output.

The stage's inputs are the encoded columns' descriptors (`runtime/encoding/encode.py`) and scratch
memory; its outputs are added one by one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import partial

from rtcompile.codegen.features.dictionary_encoding import (
    bytes_a_row,
    has_key_numbers,
    key_numbers_kernel,
    key_numbers_kernel_name,
)
from rtcompile.codegen.features.dictionary_header import KeyHeader
from rtcompile.codegen.features.feature_kernel import feature_kernel, kernel_name
from rtcompile.codegen.features.feature_writers import SinkShape
from rtcompile.codegen.features.group_lengths import (
    group_lengths_kernel,
    group_lengths_kernel_name,
)
from rtcompile.codegen.features.hash_join import BYTES_A_ROW
from rtcompile.codegen.features.hash_table import TABLE_KINDS, table_kernel, table_kernel_name
from rtcompile.codegen.features.kernel_parameters import Slots, collect_slots
from rtcompile.codegen.features.lengths import lengths_kernel, lengths_kernel_name
from rtcompile.codegen.program.constants import ConstantStore, Table
from rtcompile.codegen.program.loop_calls import loop_calls
from rtcompile.codegen.program.program import (
    CallLoop,
    KernelCall,
    Lookup,
    Pointer,
    Port,
    Space,
    StageProgram,
    table_entry,
)
from rtcompile.features.column_specs import column_readers, column_spec
from rtcompile.features.plan import Constant, Feature, Input
from rtcompile.runtime.encoding.column_plan import plan_row
from rtcompile.runtime.encoding.column_spec import ColumnSpec
from rtcompile.runtime.encoding.operator_library import LibraryFunction
from rtcompile.runtime.encoding.raw_values import VALUE_SEPARATOR

__all__ = ["FeatureStage"]

_PORTS = (
    Port("columns", "int64", (), per_request=True),
    Port("scratch", "uint8", (), per_request=True),
)
_COLUMNS, _SCRATCH = Pointer(Space.INPUT, index=0), Pointer(Space.INPUT, index=1)


def _sorted(calls: Iterable[KernelCall | CallLoop]) -> list[KernelCall | CallLoop]:
    """Calls of one kernel side by side."""
    return sorted(calls, key=lambda call: getattr(call, "kernel", ""))


def _place(output: int) -> Pointer:
    """An output's entry in the table of outputs."""
    return table_entry(Space.OUTPUT_TABLE, output)


@dataclass
class FeatureStage:
    """A stage of features while it is put together."""

    name: str
    constants: ConstantStore
    columns: list[ColumnSpec] = field(default_factory=list)
    outputs: list[Port] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._program = StageProgram(self.name, _PORTS, (), output_table=True, reads_columns=True)
        # (whether there are two, separator, columns) -> what numbers the keys of the rows
        self._key_numbers: dict[tuple[int, ...], KernelCall] = {}
        self._joined: list[KernelCall] = []
        # Of a group of sequences: column -> the numbers that its readers are counted under.
        self._groups: dict[str, dict[int, list[int]]] = {}
        # Columns of features that read no numbered keys: their maps need tables in any case.
        self._probed: set[int] = set()

    def finish(self) -> StageProgram:
        """The program, once every output is added."""
        self._program.outputs = tuple(self.outputs)
        self._compare_groups()
        # Equal kernels side by side, so that they share a loop; first what others read.
        program = self._program
        keys, tables = [*self._key_numbers.values()], self._tables()
        # Those of a group after each other too: its keys stay in the nearest cache.
        joined = sorted(self._joined, key=lambda call: call.pointers[2].offset)
        program.prologue = [*_sorted(keys), *_sorted(tables), *_sorted(joined)]
        program.calls = [*_sorted(program.calls)]
        program.row_scratch += BYTES_A_ROW if keys else 0
        others = [(i, spec) for i, spec in enumerate(self.columns) if spec.side != "item"]
        program.compiled_columns = bool(others) and all(
            plan_row(index, spec) is not None for index, spec in others
        )
        program.reads_items = len(others) < len(self.columns)
        loop_calls(self._program, self.constants)
        return self._program

    def _tables(self) -> list[KernelCall]:
        """A probe table for each map, made before the first tile."""
        calls = []
        for number, spec in enumerate(self.columns):
            if spec.kind in TABLE_KINDS and spec.delimiter is None:
                name = table_kernel_name(spec.kind)
                if name not in self._program.kernels:
                    self._program.kernels[name] = table_kernel(spec.kind)
                groups = 0 if number in self._probed else len(self._key_numbers)
                pointers = (_COLUMNS, _SCRATCH, Pointer(Space.WORKSPACE))
                calls.append(KernelCall(name, pointers, 1, (number, groups)))
        return calls

    def _compare_groups(self) -> None:
        """A call a group of sequences that have several columns."""
        for columns in self._groups.values():
            readers = tuple(map(len, columns.values()))
            if len(readers) < 2:
                continue
            name = group_lengths_kernel_name(readers)
            if name not in self._program.kernels:
                self._program.kernels[name] = group_lengths_kernel(readers)
            scalars = [word for at, numbers in columns.items() for word in (at, *numbers)]
            pointers = (_COLUMNS, Pointer(Space.STATUS))
            self._program.calls.append(KernelCall(name, pointers, 1, tuple(scalars), True))

    def _output(self, port: Port) -> Pointer:
        self.outputs.append(port)
        return _place(len(self.outputs) - 1)

    def _column(
        self, reader: str, feature: Feature, read: Input | Constant | LibraryFunction
    ) -> int:
        """The number of a column. `reader`: the feature with a kernel of its own, for counts."""
        spec = column_spec(feature, read)
        if spec not in self.columns:
            self.columns.append(spec)
        place = self.columns.index(spec)
        readers = dict.fromkeys((*self.columns[place].readers, reader))
        self.columns[place] = replace(spec, readers=tuple(readers))
        return place

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
        pointers = (self._output(port),)
        self._call(feature, SinkShape(form, port.dtype), pointers, (width, number))

    def add_pooled(self, feature: Feature, port: Port, table: Table) -> None:
        """The pooled embedding: [rows, dimension], or [rows, length, dimension]."""
        assert feature.embedding is not None
        shape = SinkShape(feature.embedding.pooling, "float32", table.format, feature.weighted)
        table_name, origins = f"table {table.name!r}", (f"feature {feature.name!r}",)
        self._program.lookups.append(Lookup(table_name, (table.rows,), origins))
        number = len(self._program.lookups) - 1
        pointers = (table.at, self._output(port))
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
        slots = collect_slots(feature, partial(self._column, feature.name))
        name = kernel_name(feature, shape)
        if name not in self._program.kernels:
            self._program.kernels[name] = feature_kernel(feature, shape, slots)
        constants = [self.constants.add(array) for array in slots.constants.values()]
        length = feature.sequence.length if feature.sequence else 0
        scalars = (length, *ends, self._tallied(feature), *slots.scalars.values())
        if feature.is_grouped:
            self._join_group(feature)
        numbered = has_key_numbers(feature)
        keys = (self._keys(feature, slots),) if numbered else ()
        pointers = (_COLUMNS, _SCRATCH, *keys, Pointer(Space.STATUS), *constants, *sink)
        call = KernelCall(name, pointers, 1, scalars, with_start=True, whole=numbered)
        (self._joined if numbered else self._program.calls).append(call)
        if not numbered:
            read = [value for slot, value in slots.scalars.items() if "column_" in slot]
            self._probed.update(read)

    def _tallied(self, feature: Feature) -> int:
        """The number that a kernel's feature is counted under; of several, the first one counts."""
        self._program.tallied.append(feature.name)
        return len(self._program.tallied) - 1

    def _join_group(self, feature: Feature) -> None:
        """Have the columns of a feature, which was just tallied, compared with its group's."""
        assert feature.sequence is not None
        columns = self._groups.setdefault(feature.sequence.group, {})
        read = [(owner, column) for owner, column in column_readers(feature) if column.sequence]
        for place in {self._column(feature.name, *one) for one in read}:
            columns.setdefault(place, []).append(len(self._program.tallied) - 1)

    def _keys(self, feature: Feature, slots: Slots) -> Pointer:
        """The keys that the feature looks up; see `dictionary_encoding.py`."""
        count = len(feature.inputs) - 1
        columns = [slots.scalars[f"column_{k + 1}"] for k in range(count)]
        both = feature.separator != VALUE_SEPARATOR
        scalars = (slots.scalars["separator"], *columns)
        if (keys := (both, *scalars)) not in self._key_numbers:
            name = key_numbers_kernel_name(count, both)
            if name not in self._program.kernels:
                self._program.kernels[name] = key_numbers_kernel(count, both)
            header = Pointer(Space.WORKSPACE, self._program.workspace_bytes)
            self._program.workspace_bytes += 8 * KeyHeader.WORDS
            self._program.row_scratch += bytes_a_row(count)
            pointers = (_COLUMNS, _SCRATCH, header)
            call = KernelCall(name, pointers, 1, scalars, with_start=True, whole=True)
            self._key_numbers[keys] = call
        return self._key_numbers[keys].pointers[2]

    def _lengths(self, feature: Feature, out: Pointer, dtype: str) -> None:
        """Of the feature's longest sequence column."""
        assert feature.sequence is not None
        read = [(owner, c) for owner, c in column_readers(feature) if c.sequence]
        columns = [self._column(feature.name, owner, c) for owner, c in read]
        name = lengths_kernel_name(dtype, len(columns))
        if name not in self._program.kernels:
            self._program.kernels[name] = lengths_kernel(dtype, len(columns))
        scalars = (feature.sequence.length, *columns)
        self._program.calls.append(KernelCall(name, (_COLUMNS, out), 1, scalars, with_start=True))
