"""The ranker: a loaded artifact that answers requests."""

from __future__ import annotations

import difflib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt
import tvm_ffi

from runtime.arrays import aligned_rows
from runtime.artifact import Artifact, read_artifact
from runtime.errors import ArtifactError, RequestError
from runtime.machine import check_target
from runtime.stage import Port, Stage

__all__ = ["Ranker", "load"]


def load(path: str | Path, threads: int = 1) -> Ranker:
    """Load the artifact at `path`.

    `threads` is how many threads one request may spread over; only 1 is supported so far. Requests
    themselves run side by side: a ranker may be called from any number of threads.

    Raises ArtifactError for a file that cannot be read or is damaged, TargetError where it was
    compiled for another machine.
    """
    if threads != 1:
        raise RequestError(f"threads={threads}: a request runs on one thread so far; pass 1")
    artifact = read_artifact(path)
    check_target(artifact.path, artifact.manifest["target"])
    return Ranker(artifact, _load_module(artifact))


def _load_module(artifact: Artifact) -> Any:
    """Load the shared library. The file it comes from is removed at once; the mapping stays."""
    handle, name = tempfile.mkstemp(prefix="rtcompile-", suffix=".so")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(artifact.module)
        return tvm_ffi.load_module(name)
    except (OSError, RuntimeError) as error:
        raise ArtifactError(f"{artifact.path}: the module cannot be loaded: {error}") from error
    finally:
        Path(name).unlink()


class Ranker:
    """Scores requests with one artifact. Reentrant."""

    def __init__(self, artifact: Artifact, module: Any) -> None:
        self._artifact = artifact
        self._module = module  # keeps the library mapped
        constants = tvm_ffi.from_dlpack(artifact.constants)
        self._stage = Stage(module["cross"], artifact.manifest["stages"]["cross"], constants)

    @property
    def manifest(self) -> dict[str, Any]:
        """What the artifact says of itself."""
        return self._artifact.manifest

    @property
    def input_ports(self) -> tuple[Port, ...]:
        """The graph inputs that `predict` takes: name, dtype, extents behind the row axis."""
        return self._stage.inputs

    def predict(self, inputs: Mapping[str, object]) -> dict[str, npt.NDArray[Any]]:
        """Run a graph that was built without features on its own inputs.

        `inputs`: graph input name -> array [rows, ...] of a convertible dtype; all with the same
        row count. Returns graph output name -> array [rows, ...], in the graph's order.
        Raises RequestError for wrong names, dtypes or shapes, UnknownIdError for an id outside its
        table.
        """
        if not isinstance(inputs, Mapping):
            raise RequestError(f"inputs: a mapping of names to arrays, not {type(inputs).__name__}")
        ports = self._stage.inputs
        _check_names(tuple(inputs), tuple(port.name for port in ports))
        arrays: list[npt.NDArray[Any]] = []
        rows: int | None = None
        for port in ports:
            if port.per_request:
                arrays.append(_single(inputs[port.name], port.name, port.dtype, port.shape))
                continue
            array = aligned_rows(inputs[port.name], port.name, port.dtype, port.shape)
            if rows is not None and array.shape[0] != rows:
                raise RequestError(
                    f"input {port.name!r}: {array.shape[0]} rows beside {rows} of the inputs before"
                )
            rows = array.shape[0]
            arrays.append(array)
        results = self._stage.run(rows or 0, arrays)
        names = [port.name for port in self._stage.outputs]
        return dict(zip(names, results, strict=True))


def _single(value: object, name: str, dtype: str, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    return aligned_rows([value], name, dtype, shape)


def _check_names(given: tuple[object, ...], wanted: tuple[str, ...]) -> None:
    missing = [name for name in wanted if name not in given]
    surplus = [name for name in given if name not in wanted]
    if not missing and not surplus:
        return
    parts = []
    if missing:
        parts.append(f"missing {', '.join(map(repr, missing))}")
    for name in surplus:
        near = difflib.get_close_matches(str(name), missing or wanted, n=1)
        parts.append(f"unknown {name!r}" + (f" (did you mean {near[0]!r}?)" if near else ""))
    raise RequestError(f"inputs: {'; '.join(parts)}. The graph takes {', '.join(wanted)}")
