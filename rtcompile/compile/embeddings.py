"""Embedding tables that pooled features read: from safetensors files, or out of the graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open

from rtcompile.errors import EmbeddingsError
from rtcompile.frontends.onnx.tensors import array_of

__all__ = ["EmbeddingTables", "graph_tables", "load_tables", "table_files"]

_DTYPES = ("F16", "F32", "F64")


@dataclass(frozen=True)
class EmbeddingTables:
    """Tables by name. A feature's table NAME is looked up as NAME, then as NAME.weight."""

    tables: Mapping[str, npt.NDArray[np.float32]]
    source: str

    def find(self, name: str) -> npt.NDArray[np.float32] | None:
        """The table, float32 [rows, dimension], or None."""
        found = self.tables.get(name)
        return self.tables.get(f"{name}.weight") if found is None else found


def table_files(path: Path) -> list[Path]:
    """A safetensors file, or all such files of a folder."""
    return sorted(path.glob("*.safetensors")) if path.is_dir() else [path]


def load_tables(path: Path) -> EmbeddingTables:
    """Every matrix of a safetensors file, or of all such files in a folder. EmbeddingsError."""
    files = table_files(path)
    if not files:
        raise EmbeddingsError(f"{path}: no *.safetensors file in this folder")
    tables: dict[str, npt.NDArray[np.float32]] = {}
    for file in files:
        try:
            with safe_open(str(file), framework="numpy") as tensors:
                for name in tensors.keys():  # noqa: SIM118  (not a mapping)
                    if name in tables:
                        raise EmbeddingsError(f"{file}: table {name!r} is in another file too")
                    tables[name] = _table(file, name, tensors)
        except (OSError, SafetensorError) as error:
            raise EmbeddingsError(f"{file}: cannot be read as safetensors: {error}") from error
    return EmbeddingTables(tables, str(path))


def _table(file: Path, name: str, tensors: Any) -> npt.NDArray[np.float32]:
    dtype = tensors.get_slice(name).get_dtype()
    if dtype not in _DTYPES:
        raise EmbeddingsError(
            f"{file}: table {name!r} is of type {dtype}; supported are {', '.join(_DTYPES)}"
        )
    table = np.asarray(tensors.get_tensor(name), np.float32)
    if table.ndim != 2 or table.size == 0:
        raise EmbeddingsError(
            f"{file}: table {name!r} has shape {table.shape}; [rows, dimension] is needed"
        )
    return table


def graph_tables(model: Any) -> EmbeddingTables:
    """The float matrices among a graph's initializers."""
    tables = {
        tensor.name: np.asarray(array_of(tensor), np.float32)
        for tensor in model.graph.initializer
        if len(tensor.dims) == 2 and tensor.data_type == 1
    }
    return EmbeddingTables(tables, "the graph")
