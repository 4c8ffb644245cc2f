"""The original model with its embedding tables as they are stored: what a build is checked against.

With tables in a lower precision, kernels are right when they agree with the original on the values
that those tables hold; what the precision itself costs is another question, and reported beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from rtcompile.compile.binding import BoundInput
from rtcompile.frontends.onnx.import_onnx import ImportedGraph
from rtcompile.frontends.onnx.rewrite.replace_tables import replace_tables
from rtcompile.frontends.onnx.tensors import array_of
from rtcompile.relay_passes.dialect.checked_values import array_digest

__all__ = ["Original", "table_digests", "with_stored_tables"]


@dataclass(frozen=True)
class Original:
    """A graph, and what feeds its inputs where it has features."""

    graph: ImportedGraph
    bound: tuple[BoundInput, ...] = ()


def table_digests(model: Any) -> dict[str, bytes]:
    """The initializers of an onnx.ModelProto that have axes: name -> digest of the values."""
    return {
        tensor.name: array_digest(array_of(tensor))
        for tensor in model.graph.initializer
        if tensor.dims
    }


def with_stored_tables(
    original: Original,
    values: Mapping[str, npt.NDArray[np.float32]],
    digests: Mapping[str, bytes],
) -> Original | None:
    """`original` on `values`, those of the tables that are not in fp32; None where there are none.

    `digests`: of the graph's initializers. Equal ones are one table, under the name of the last.
    """
    if not values:
        return None
    names = {digest: name for name, digest in digests.items()}
    read = {name: names[digest] for name, digest in digests.items()}
    tables = {name: values[table] for name, table in read.items() if table in values}
    model = replace_tables(original.graph.model, tables)
    bound = tuple(_with_stored_table(b, values) for b in original.bound)
    return Original(replace(original.graph, model=model), bound)


def _with_stored_table(b: BoundInput, values: Mapping[str, npt.NDArray[np.float32]]) -> BoundInput:
    name = b.feature.embedding.table if b.feature.embedding else ""
    return b if b.table is None or name not in values else replace(b, table=values[name])
