"""What the manifest says of a stage. `runtime/stage.py` and `runtime/extract.py` read it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rtcompile.codegen.program import Port, StageProgram
from rtcompile.features.plan import Feature
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


def describe_columns(
    program: StageProgram, specs: Sequence[ColumnSpec], features: Sequence[Feature]
) -> dict[str, Any]:
    """A stage that extracts `features` from the columns of `specs`."""
    return {
        **describe_stage(program),
        "columns": [spec.to_json() for spec in specs],
        # How many inputs a kernel joins at most: the memory it needs for that.
        "joined": max((len(feature.inputs) + 1 for feature in features), default=1),
        "columns_out": [
            {
                "name": feature.name,
                "sparse": feature.sparse,
                "sequence": feature.sequence is not None,
                "weighted": feature.weighted,
                "value_dim": feature.value_dim,
                # The most values that one entry can have beside those in the data.
                "fanout": max(1, len(feature.default), feature.value_dim),
            }
            for feature in features
        ],
    }
