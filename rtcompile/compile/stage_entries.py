"""What the manifest says of a stage. `stage.py` and `extract.py` read it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rtcompile.codegen.features.call_library import library_scratch_bytes
from rtcompile.codegen.features.edit_distance import SCRATCH_PER_BYTE
from rtcompile.codegen.features.format_number import NUMBER_BYTES
from rtcompile.codegen.features.hash_table import MOST_BYTES_A_VALUE, TABLE_KINDS
from rtcompile.codegen.program.program import Port, StageProgram
from rtcompile.features.column_specs import column_readers, column_spec
from rtcompile.features.operators import (
    CallLibrary,
    Combine,
    EditDistance,
    Expr,
    KvDotProduct,
    Lookup,
    Match,
    Overlap,
    Values,
)
from rtcompile.features.plan import Constant, Feature, Input
from rtcompile.features.types.library_operator import RESULT_BYTES
from rtcompile.runtime.encoding.column_spec import ColumnSpec

__all__ = ["describe_columns", "describe_port", "describe_stage"]


_WORD = 8


def describe_stage(program: StageProgram) -> dict[str, Any]:
    """Ports, workspace, and names for messages."""
    return {
        "inputs": [describe_port(port) for port in program.inputs],
        "outputs": [describe_port(port) for port in program.outputs],
        "workspace_bytes": max(program.workspace_bytes, 64),
        "tile_rows": program.tile_rows,
        "lookups": [asdict(lookup) for lookup in program.lookups],
        "features": list(program.features),
        "single_row": program.single_row or program.name == "user",
        "input_table": program.input_table,
        "output_table": program.output_table,
        "calibration_words": program.calibration_words,
        "tallied": list(program.tallied),
        "calls": len(program.calls),
        "kernels": len(program.kernels),
    }


def describe_port(port: Port) -> dict[str, Any]:
    """Name, element type, extents behind the rows; of flat inputs and offsets, what they are."""
    found = {
        "name": port.name,
        "dtype": port.dtype,
        "shape": list(port.shape),
        "per_request": port.per_request,
    }
    if port.flat:
        found["flat"] = True
    if port.cuts:
        found |= {"cuts": list(port.cuts), "last_offset": port.last_offset}
    return found


def _counts(feature: Feature, column: Input) -> bool:
    """Whether more values in the column can mean more values of the feature."""
    operator = feature.operator
    if column.sequence:
        return True
    if isinstance(operator, Lookup | Match) and feature.inputs.index(column) == 0:
        return isinstance(operator, Match) and operator.wild
    return not isinstance(operator, Combine | Overlap | KvDotProduct | EditDistance | CallLibrary)


def _fanout(feature: Feature) -> int:
    """The most values that one of the data can become, or that stand in for none."""
    constants = [read.value for read in feature.inputs if isinstance(read, Constant)]
    times = math.prod(len(value) + 1 for value in constants)
    library = isinstance(feature.operator, CallLibrary)
    made = (RESULT_BYTES + 1) // 2 if library and not feature.numeric else 0
    return times * max(1, made, len(feature.default), feature.value_dim, _inner_default(feature))


def _inner_default(feature: Feature) -> int:
    """At least the tokens that the defaults of the features it reads can be split into."""
    inner = [read for read in feature.inputs if isinstance(read, Feature)]
    return sum(len(b"".join(read.default)) + 1 + _inner_default(read) for read in inner)


def _scratch(feature: Feature) -> int:
    """Bytes that a feature's kernel needs for each byte and value of its columns; often none."""
    inner = [read for read in feature.inputs if isinstance(read, Feature)]
    if isinstance(feature.operator, Values) and not inner:
        return 0
    if isinstance(feature.operator, EditDistance):
        return SCRATCH_PER_BYTE
    # A text, and what stands between; or a number for each value of another feature.
    each = 9 if isinstance(feature.operator, Expr) else 1
    # A prefix takes another copy.
    copies = len(feature.inputs) + 1 + bool(feature.prefix)
    return copies + sum(each + _scratch(read) for read in inner)


def _table_bytes(specs: Sequence[ColumnSpec]) -> int:
    """Bytes for each byte and value of the columns, of the tables of their maps."""
    return MOST_BYTES_A_VALUE if any(spec.kind in TABLE_KINDS for spec in specs) else 0


def _scratch_bytes(feature: Feature) -> int:
    """Bytes that it needs whatever the columns are: for a prefix, for defaults of what it reads."""
    inner = [read for read in feature.inputs if isinstance(read, Feature)]
    prefix = len(feature.prefix) + _WORD if feature.prefix else 0
    if isinstance(feature.operator, CallLibrary):
        copy = prefix and prefix + RESULT_BYTES
        return library_scratch_bytes(len(feature.inputs), feature.value_dim) + copy
    made = [_WORD * (len(f.default) + f.value_dim + 2) + NUMBER_BYTES for f in inner]
    # A default that a feature reads is copied too, and once more for a prefix.
    copied = [len(b"".join(f.default)) + NUMBER_BYTES for f in inner] * (2 if prefix else 1)
    return prefix + sum(made) + sum(copied) + sum(map(_scratch_bytes, inner))


def describe_columns(
    program: StageProgram, specs: Sequence[ColumnSpec], features: Sequence[Feature]
) -> dict[str, Any]:
    """A stage that extracts `features` from the columns of `specs`."""
    return {
        **describe_stage(program),
        "columns": [spec.to_json() for spec in specs],
        # What an entry needs is freed with it; the tables of shared maps stay.
        "scratch_per_byte": max(map(_scratch, features), default=0),
        "scratch_per_shared": _table_bytes(specs),
        "scratch_per_row": program.row_scratch,
        "scratch_bytes": max(map(_scratch_bytes, features), default=0),
        "columns_out": [
            {
                "name": feature.name,
                "sparse": feature.sparse,
                "sequence": feature.sequence is not None,
                "weighted": feature.weighted,
                "value_dim": feature.value_dim,
                # Columns whose values multiply: they bound how many values there can be.
                "reads": [
                    specs.index(column_spec(owner, column))
                    for owner, column in column_readers(feature)
                    # What another feature makes is split anew, wherever it came from.
                    if owner is not feature or _counts(owner, column)
                ],
                # The most values that one entry can have beside those in the data.
                "fanout": _fanout(feature),
            }
            for feature in features
        ],
    }
