"""What the manifest says of a stage. `runtime/stage.py` and `runtime/extract.py` read it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from rtcompile.codegen.program import Port, StageProgram
from rtcompile.features.column_specs import column_readers, column_spec
from rtcompile.features.operators import (
    Combine,
    KvDotProduct,
    Lookup,
    Match,
    Overlap,
    Values,
)
from rtcompile.features.plan import Constant, Feature, Input
from runtime.encode import ColumnSpec

__all__ = ["describe_columns", "describe_port", "describe_stage"]


def describe_stage(program: StageProgram) -> dict[str, Any]:
    """Ports, workspace, and names for messages."""
    return {
        "inputs": [describe_port(port) for port in program.inputs],
        "outputs": [describe_port(port) for port in program.outputs],
        "workspace_bytes": max(program.workspace_bytes, 64),
        "lookups": [{"table": lookup.table, "rows": lookup.rows} for lookup in program.lookups],
        "features": list(program.features),
        "output_table": program.output_table,
        "calls": len(program.calls),
        "kernels": len(program.kernels),
    }


def describe_port(port: Port) -> dict[str, Any]:
    """Name, element type, extents behind the rows."""
    return {
        "name": port.name,
        "dtype": port.dtype,
        "shape": list(port.shape),
        "per_request": port.per_request,
    }


def _counts(feature: Feature, column: Input) -> bool:
    """Whether more values in the column can mean more values of the feature."""
    operator = feature.operator
    if column.sequence:
        return True
    if isinstance(operator, Lookup | Match) and feature.inputs.index(column) == 0:
        return isinstance(operator, Match) and operator.wild
    return not isinstance(operator, Combine | Overlap | KvDotProduct)


def _fanout(feature: Feature) -> int:
    """The most values that one of the data can become, or that stand in for none."""
    constants = [read.value for read in feature.inputs if isinstance(read, Constant)]
    times = math.prod(len(value) + 1 for value in constants)
    return times * max(1, len(feature.default), feature.value_dim, _inner_default(feature))


def _inner_default(feature: Feature) -> int:
    """At least the tokens that the defaults of the features it reads can be split into."""
    inner = [read for read in feature.inputs if isinstance(read, Feature)]
    return sum(len(b"".join(read.default)) + 1 + _inner_default(read) for read in inner)


def _joined(feature: Feature) -> int:
    """How many texts a feature's kernel puts side by side; 0 where it reads them in place."""
    inner = [read for read in feature.inputs if isinstance(read, Feature)]
    if isinstance(feature.operator, Values) and not inner:
        return 0
    return len(feature.inputs) + 1 + sum(map(_joined, inner))


def describe_columns(
    program: StageProgram, specs: Sequence[ColumnSpec], features: Sequence[Feature]
) -> dict[str, Any]:
    """A stage that extracts `features` from the columns of `specs`."""
    return {
        **describe_stage(program),
        "columns": [spec.to_json() for spec in specs],
        # How many texts a kernel joins at most: the memory it needs for that.
        "joined": max(map(_joined, features), default=0),
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
