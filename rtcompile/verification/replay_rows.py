"""Replay rows that training scored through an artifact, and compare the scores.

What neither the graph nor its config shows is seen here: a pooling of another kind than training's,
another table, a feature that training made otherwise, an export that differs from its framework.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rtcompile import runtime
from rtcompile.errors import DataError
from rtcompile.runtime.ranker import load_target
from rtcompile.verification.area_under_curve import area_under_curve
from rtcompile.verification.recorded_scores import ScoredRows, read_scored_rows
from rtcompile.verification.replay_recorded import ITEM_KEY, chosen_targets
from rtcompile.verification.suspects import suspects

__all__ = ["RowsCheck", "WorstRow", "verify_rows"]

Array = npt.NDArray[Any]

_CHUNK = 4096  # rows whose items are in the table at once
_WORST = 5


@dataclass(frozen=True)
class WorstRow:
    """A row whose score is far from the recorded one."""

    row: int
    output: str
    recorded: float
    computed: float
    fields: Mapping[str, Any]


@dataclass(frozen=True)
class RowsCheck:
    """Scores of one target beside recorded ones. Differences are relative to scores above 1.

    `refused`: rows that the artifact does not answer, by number, and why. `auc`: output ->
    (recorded, computed), where there are labels. `suspects`: what the differences go with.
    """

    target: str
    rows: int
    tolerance: float
    largest: float
    mean: float
    beyond: int
    refused: Mapping[int, str]
    auc: Mapping[str, tuple[float, float]]
    worst: tuple[WorstRow, ...] = ()
    suspects: tuple[str, ...] = field(default=())

    @property
    def agrees(self) -> bool:
        """Whether every row is answered, within the tolerance."""
        return not self.beyond and not self.refused


def verify_rows(
    path: Path,
    rows: Path,
    scores: Mapping[str, str] | str,
    label: str | None = None,
    targets: Sequence[str] = (),
    tolerance: float = 1e-4,
) -> list[RowsCheck]:
    """Compare scores of the artifact at `path`, for each of `targets` or the one loaded here.

    `scores`: output -> column of `rows`, or the column of the only output. Raises DataError,
    TargetError, ArtifactError.
    """
    if not tolerance >= 0:
        raise DataError(f"tolerance {tolerance}: a number from 0 on is needed")
    names = targets or [str(runtime.load(path).manifest["target"]["name"])]
    lacking = {n: why for n, why in chosen_targets(path, names).items() if why}
    if lacking:
        listed = "; ".join(f"{name}: {why}" for name, why in lacking.items())
        raise runtime.TargetError(f"{path}: cannot be run on this machine: {listed}")
    data: ScoredRows | None = None
    checks = []
    for name in names:
        ranker = load_target(path, name)
        if data is None:
            columns = _by_output(ranker, scores)
            data = read_scored_rows(rows, _fields(ranker), columns, label)
        checks.append(_check(name, ranker, data, tolerance))
    return checks


def _fields(ranker: runtime.Ranker) -> list[str]:
    if ranker.manifest["kind"] == "graph":
        return [port.name for port in ranker.input_ports]
    sides = ranker.manifest["fields"].values()
    return list(dict.fromkeys(name for names in sides for name in names))


def _by_output(ranker: runtime.Ranker, scores: Mapping[str, str] | str) -> dict[str, str]:
    outputs = [port["name"] for port in ranker.manifest["stages"]["cross"]["outputs"]]
    if isinstance(scores, str):
        if len(outputs) > 1:
            raise DataError(
                f"the artifact has outputs {', '.join(outputs)}: say of which the column "
                f"{scores!r} is, as {outputs[0]}={scores}"
            )
        return {outputs[0]: scores}
    unknown = [name for name in scores if name not in outputs]
    if unknown or not scores:
        raise DataError(
            f"output {unknown[0]!r} is none of the artifact's: {', '.join(outputs)}"
            if unknown
            else "scores: a column at least is needed"
        )
    return dict(scores)


def _check(target: str, ranker: runtime.Ranker, data: ScoredRows, tolerance: float) -> RowsCheck:
    refused: dict[int, str] = {}
    kept: list[int] = []
    parts: dict[str, list[Array]] = {name: [] for name in data.scores}
    for start in range(0, data.rows, _CHUNK):
        places = list(range(start, min(start + _CHUNK, data.rows)))
        for rows, found in _scored(ranker, data, places, refused):
            kept += rows
            for name, values in parts.items():
                values.append(np.asarray(found[name], np.float64))
    off = np.zeros(len(kept))
    computed: dict[str, Array] = {}
    worst_of = np.zeros(len(kept), np.int64)
    for k, (name, values) in enumerate(parts.items()):
        if not kept:
            break
        computed[name] = np.concatenate(values).reshape(len(kept), -1)
        each = _off(name, data.scores[name][kept], computed[name])
        worst_of = np.where(each > off, k, worst_of)
        off = np.maximum(off, each)
    finite = off[np.isfinite(off)]
    outputs = list(parts)
    order = [int(i) for i in np.argsort(-off, kind="stable")[:_WORST] if off[i] > tolerance]
    return RowsCheck(
        target,
        data.rows,
        tolerance,
        float(np.max(off, initial=0.0)),
        float(finite.mean()) if finite.size else 0.0,
        int(np.sum(~(off <= tolerance))),
        refused,
        _auc(data, kept, computed),
        tuple(_worst(data, kept[i], outputs[worst_of[i]], computed, i) for i in order),
        suspects(data, kept, computed, off, tolerance),
    )


def _off(name: str, recorded: Array, computed: Array) -> Array:
    """The largest difference of a row, relative where the recorded score is above 1."""
    recorded = recorded.reshape(len(recorded), -1)
    if recorded.shape != computed.shape:
        raise DataError(
            f"output {name!r} has {computed.shape[1]} values a row, and {recorded.shape[1]} were "
            "recorded"
        )
    same = (recorded == computed) | (np.isnan(recorded) & np.isnan(computed))
    with np.errstate(invalid="ignore"):
        off = np.abs(recorded - computed) / np.maximum(1.0, np.abs(recorded))
    off = np.where(same, 0.0, np.where(np.isnan(off), np.inf, off))
    return np.asarray(np.max(off, axis=1, initial=0.0))


def _scored(
    ranker: runtime.Ranker, data: ScoredRows, places: list[int], refused: dict[int, str]
) -> list[tuple[list[int], Mapping[str, Any]]]:
    """(rows, their scores) of those that are answered; the others go to `refused`."""
    try:
        return _answer(ranker, data, places)
    except runtime.InferenceError as error:
        if len(places) == 1:
            refused[places[0]] = str(error)
            return []
    half = len(places) // 2
    return [
        found
        for part in (places[:half], places[half:])
        for found in _scored(ranker, data, part, refused)
    ]


def _answer(
    ranker: runtime.Ranker, data: ScoredRows, places: list[int]
) -> list[tuple[list[int], Mapping[str, Any]]]:
    columns = {name: [values[row] for row in places] for name, values in data.columns.items()}
    if ranker.manifest["kind"] == "graph":
        inputs = {port.name: _graph_input(port, columns[port.name]) for port in ranker.input_ports}
        return [(places, ranker.predict(inputs))]
    fields = ranker.manifest["fields"]
    ids = [str(row) for row in places]
    items = {name: columns[name] for name in fields["item"]}
    ranker.items.replace({**items, ITEM_KEY: ids}, key=ITEM_KEY)
    found: list[tuple[list[int], Mapping[str, Any]]] = []
    users = [{name: columns[name][k] for name in fields["user"]} for k in range(len(places))]
    for _, run in groupby(range(len(places)), key=lambda k: repr(users[k])):
        group = list(run)
        context = {name: [columns[name][k] for k in group] for name in fields["context"]}
        scores = ranker.rank(users[group[0]], [ids[k] for k in group], context)
        found.append(([places[k] for k in group], scores))
    return found


def _graph_input(port: Any, column: list[Any]) -> Any:
    """An array [rows, ...] of a column of numbers, or of lists."""
    try:
        array = np.asarray(column)
        return array.reshape(len(column), *port.shape)
    except ValueError as error:
        raise DataError(
            f"graph input {port.name!r}: a row has not the shape {list(port.shape)}: {error}"
        ) from error


def _auc(
    data: ScoredRows, kept: list[int], computed: Mapping[str, Array]
) -> dict[str, tuple[float, float]]:
    if data.labels is None or not kept:
        return {}
    labels = data.labels[kept]
    return {
        name: (
            area_under_curve(labels, data.scores[name][kept].reshape(len(kept), -1)[:, 0]),
            area_under_curve(labels, scores[:, 0]),
        )
        for name, scores in computed.items()
    }


def _worst(
    data: ScoredRows, row: int, output: str, computed: Mapping[str, Array], at: int
) -> WorstRow:
    recorded = np.atleast_1d(data.scores[output][row]).reshape(-1)
    got = computed[output][at]
    with np.errstate(invalid="ignore"):
        off = np.nan_to_num(np.abs(recorded - got), nan=np.inf)
    value = int(np.argmax(off))
    fields = {name: values[row] for name, values in data.columns.items()}
    return WorstRow(row, output, float(recorded[value]), float(got[value]), fields)
