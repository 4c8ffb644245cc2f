"""The ranker: a loaded artifact that answers requests."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import numpy.typing as npt

from rtcompile.runtime.abi.worker_pool import WORKER_AT, WorkerAddress
from rtcompile.runtime.artifact import Artifact, damaged, read_artifact
from rtcompile.runtime.columns import Column
from rtcompile.runtime.encoding.text_steps import MissingLibraryError
from rtcompile.runtime.errors import ArtifactError, RequestError
from rtcompile.runtime.ffi import tvm_ffi
from rtcompile.runtime.items.item_table import ItemTable
from rtcompile.runtime.machine import check_target
from rtcompile.runtime.memory.struct_memory import allocate
from rtcompile.runtime.request.log_lines import (
    Difference,
    differences,
    row_values,
    to_lines,
)
from rtcompile.runtime.request.ranking import Ranking
from rtcompile.runtime.stages.feature_stage import check_fields
from rtcompile.runtime.stages.graph_inputs import graph_inputs
from rtcompile.runtime.stages.profile import Profile, nanoseconds_a_tick
from rtcompile.runtime.stages.stage import Port, Stage

__all__ = ["Ranker", "load", "load_target"]

# What comes of entries that do not fit each other, or the module.
_MISFITS = (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError, MemoryError)


def load(path: str | Path, threads: int = 1, strict: bool = False, *, copy: bool = False) -> Ranker:
    """Load the artifact at `path`.

    `threads` is how many threads may share a request: its last stage, where those of about as many
    rows took over 100 microseconds, and unless they share another one at the time. Requests
    themselves run side by side: any number of threads may call a ranker.

    `strict`: a value that is there but cannot be read, as a number that is none, is a RequestError
    that names feature, row and value. Else the feature goes on without it, and it is counted
    (`Ranker.counters`).

    `copy`: read the embedding tables into memory of this process, so that whatever happens to the
    file later has no effect. Without it large ones are mapped and shared with other processes: the
    file may be renamed over or removed, but must not be written to while it is loaded.

    Of an artifact for several targets, the most able one that this machine can run is loaded.

    Raises ArtifactError for a file that cannot be read or is damaged, TargetError where it was
    compiled for other machines, RequestError for `threads` that cannot be started.
    """
    if not isinstance(threads, int) or threads < 1:
        raise RequestError(f"threads={threads!r}: a count from 1 on is needed")
    artifact = read_artifact(path, copy)
    if all(artifact.targets):  # else what follows says that one is missing
        check_target(artifact.path, artifact.targets)
    return _open(artifact, threads, strict)


def load_target(path: str | Path, target: str) -> Ranker:
    """Load the module for `target`, one of an artifact's. Raises what `load` raises."""
    artifact = read_artifact(path, target=target)
    check_target(artifact.path, [artifact.manifest["target"]])
    return _open(artifact, 1)


def _open(artifact: Artifact, threads: int, strict: bool = False) -> Ranker:
    artifact.check_entries()
    try:
        return Ranker(artifact, _load_module(artifact), threads, strict)
    except _MISFITS as error:  # entries that are right by themselves
        raise damaged(artifact.path, error) from error


def _load_module(artifact: Artifact) -> Any:
    """Load the shared library. The file it comes from is removed at once; the mapping stays."""
    handle, name = tempfile.mkstemp(prefix="rtcompile-", suffix=".so")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(artifact.module)
        # Unloaded with the last function of it: a service that reloads does not grow.
        return tvm_ffi.load_module(name, keep_module_alive=False)
    except (OSError, RuntimeError) as error:
        raise ArtifactError(f"{artifact.path}: the module cannot be loaded: {error}") from error
    finally:
        Path(name).unlink()


def _ranking(
    cross: Stage, artifact: Artifact, module: Any, constants: Any, strict: bool
) -> Ranking:
    manifest = artifact.manifest
    assets = {
        name: artifact.constants[at["offset"] : at["offset"] + at["length"]].tobytes()
        for name, at in manifest["assets"].items()
    }
    try:
        unchanged = artifact.check_unchanged
        return Ranking(cross, module, manifest, constants, assets, unchanged, strict)
    except (MissingLibraryError, ValueError) as error:
        raise ArtifactError(f"{artifact.path}: {error}") from error


class Ranker:
    """Scores requests with one artifact. Reentrant.

    In a `with` statement, or by `close`, it gives its memory back at a time of one's choice; else
    that goes with the last reference to it.
    """

    def __init__(
        self, artifact: Artifact, module: Any, threads: int = 1, strict: bool = False
    ) -> None:
        self._artifact = replace(artifact, module=b"")  # which is loaded
        self._module = module  # keeps the library mapped
        constants = tvm_ffi.from_dlpack(artifact.constants)
        stages = artifact.manifest["stages"]
        self._stage = Stage(module["cross"], stages["cross"], constants, takes_turns=True)
        if threads > 1:
            at = allocate(WorkerAddress)
            module[WORKER_AT](at.address)
            self._stage.start_workers(at.words[WorkerAddress.WORK], threads - 1)
        self._input_names = {port.name: port for port in self._stage.inputs}
        self._output_names = [port.name for port in self._stage.outputs]
        self._ranking = (
            _ranking(self._stage, artifact, module, constants, strict)
            if artifact.manifest["kind"] == "ranking"
            else None
        )
        entry = self._ranking.entry(self.rank, module) if self._ranking else None
        if entry is not None and type(self).rank is Ranker.rank:
            vars(self)["rank"] = entry  # which Python finds before the method

    def close(self) -> None:
        """Let go of the compiled code, tables and items. Later calls raise RequestError.

        What runs in other threads goes on, and the memory is free once that is done.
        """
        kept, ranking = self._artifact, vars(self).get("_ranking")
        vars(self).clear()
        if ranking is not None:
            ranking.close()
        self._artifact = replace(kept, constants=kept.constants[:0].copy())

    def __enter__(self) -> Ranker:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> NoReturn:
            # Of a ranker that was closed: no other lacks one of these.
            if name in ("_module", "_stage", "_input_names", "_output_names", "_ranking"):
                raise RequestError(f"{self._artifact.path}: the ranker was closed")
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @property
    def manifest(self) -> dict[str, Any]:
        """What the artifact says of itself."""
        return self._artifact.manifest

    @property
    def input_ports(self) -> tuple[Port, ...]:
        """The network's inputs: name, dtype, extents behind the row axis."""
        return self._stage.inputs

    def profile(self) -> Profile:
        """The time of each kernel since the last call of this, and of encoding; call it while no
        request runs.

        Raises RequestError where the artifact was not built with `profile`.
        """
        if "probes" not in self.manifest["stages"]["cross"]:
            raise RequestError(f"profile: {self._artifact.path} was built without profile")
        tick = nanoseconds_a_tick(self._module["counter"])
        if self._ranking is not None:
            return self._ranking.profile(tick)
        return Profile(tuple(self._stage.profile("cross", tick)), {})

    def calibration_words(self) -> dict[str, npt.NDArray[np.int64]]:
        """By stage of the network, what a calibrating build of the compiler counts or is told."""
        if self._ranking is not None:
            return self._ranking.calibration_words()
        return {"cross": self._stage.calibration_words()}

    # -- an artifact with features --------------------------------------------------------------

    @property
    def items(self) -> ItemTable:
        """The items that requests may rank: `upsert`, `delete`, `replace`."""
        return self._with_features("items").items

    def rank(
        self,
        user: Mapping[str, object],
        items: Sequence[object] | npt.NDArray[Any],
        context: Mapping[str, object] | None = None,
    ) -> dict[str, npt.NDArray[Any]]:
        """Score `items`, ids of the item table, for a user.

        `user`: raw field -> value. `context`: raw field -> a value an item. Returns graph output ->
        array [items, ...], in the order of `items`. Raises RequestError for a missing or surplus
        field or a value of a wrong type, UnknownItemError for an id that is not in the table,
        UnknownIdError for a feature's id that is outside its embedding table.
        """
        return self._with_features("rank").rank(user, items, context)

    def counters(self) -> dict[str, dict[str, int]]:
        """By feature, since the artifact was loaded, over requests, items and extractions:
        "defaulted", how many places took the default for want of a value, and "unparsed", how many
        values were there but could not be read.

        A user's feature has a place a request, an item's one when the item is inserted, any other
        one a row; in a sequence, one an element.
        """
        return self._with_features("counters").counters()

    def extract(
        self,
        user: Mapping[str, object] | None = None,
        items: Sequence[object] | npt.NDArray[Any] | None = None,
        context: Mapping[str, object] | None = None,
    ) -> dict[str, Column]:
        """The features that the network sees: user features with one row, the others a row an item.

        Sides that are not given are left out. Raises what `rank` raises.
        """
        return self._with_features("extract").extract(user, items, context)

    def extract_lines(
        self,
        user: Mapping[str, object],
        items: Sequence[object] | npt.NDArray[Any],
        context: Mapping[str, object] | None = None,
    ) -> list[str]:
        """`extract` as lines for a log, one an item: JSON objects of all features of its pair.

        They have the form that `rtcompile extract` writes. Raises what `rank` raises.
        """
        return to_lines(self.extract(user, items, context), len(items))

    def extract_differences(
        self,
        logged: Sequence[str],
        user: Mapping[str, object],
        items: Sequence[object] | npt.NDArray[Any],
        context: Mapping[str, object] | None = None,
    ) -> list[dict[str, Difference]]:
        """What differs between logged lines and the same request now: feature -> both, an item.

        `logged`: a line an item, of `extract_lines`. Raises RequestError for a line that is none.
        """
        if len(logged) != len(items):
            raise RequestError(f"{len(logged)} logged lines for {len(items)} items")
        rows = row_values(self.extract(user, items, context), len(items))
        return [differences(row, line) for row, line in zip(rows, logged, strict=True)]

    def extract_rows(self, columns: Mapping[str, Sequence[object]], rows: int) -> dict[str, Column]:
        """The features of flat rows, as training data has them: every side has a value a row.

        `columns`: raw field -> `rows` values. Raises RequestError.
        """
        return self._with_features("extract_rows").extract_rows(columns, rows)

    def _with_features(self, what: str) -> Ranking:
        if self._ranking is None:
            raise self._lacks_features(what)
        return self._ranking

    def _lacks_features(self, what: str) -> RequestError:
        return RequestError(
            f"{what}: {self._artifact.path} was built without features; call predict with "
            "the graph's own inputs"
        )

    # -- a graph on its own ---------------------------------------------------------------------

    def predict(self, inputs: Mapping[str, object]) -> dict[str, npt.NDArray[Any]]:
        """Run a graph that was built without features on its own inputs.

        `inputs`: graph input name -> array [rows, ...] of a convertible dtype; all with the same
        row count. One that all rows share is given once: a number for an input of rank 0. One that
        offsets cut into bags is flat: of as many values as there are, whose bags begin at the
        offsets.
        Returns graph output name -> array [rows, ...], in the graph's order.
        Raises RequestError for wrong names, dtypes or shapes, UnknownIdError for an id outside its
        table.
        """
        if self._ranking is not None:
            raise RequestError(f"predict: {self._artifact.path} has features; call rank")
        given = check_fields("inputs", inputs, self._input_names)
        found = self._stage.answer_given(given)
        if found is None:
            found = self._stage.answer(*graph_inputs(self._stage.inputs, given))
        return dict(zip(self._output_names, found, strict=True))
