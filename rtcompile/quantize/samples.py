"""Calibration data: rows that an artifact is run on, to see ranges and to compare scores.

    .npz      arrays by the names of the graph's inputs, for a graph without features
    .parquet  a row a (user, item, context), columns by their raw names
    .jsonl    such rows, one object a line; or requests, {"user": {...}, "items": [{...}, ...],
              "context": {field: [a value an item]}}, with the items' fields in place

With a label (0 or 1 a row), its name is one more array or column.
"""

from __future__ import annotations

import zipfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rtcompile import runtime
from rtcompile.compile.read_rows import read_columns
from rtcompile.errors import DataError
from rtcompile.features.plan import ITEM_KEY, FeaturePlan, Side

__all__ = [
    "LEAST_ROWS",
    "GraphSamples",
    "RankingSamples",
    "Samples",
    "read_arrays",
    "read_requests",
]

# Fewer rows say too little of a range.
LEAST_ROWS = 32

_BATCH = 256

Array = npt.NDArray[Any]
Labels = npt.NDArray[np.float64]
Columns = Mapping[str, Sequence[Any]]


class Samples(ABC):
    """`rows` rows; `labels` is float64 [rows] of 0 and 1, or None."""

    rows: int
    labels: Labels | None

    @abstractmethod
    def scores(self, ranker: runtime.Ranker) -> dict[str, Array]:
        """Output -> [rows, ...]. Raises DataError where the artifact refuses a row."""

    @abstractmethod
    def call(self, ranker: runtime.Ranker, rows: int) -> Callable[[], object]:
        """A request of the first `rows` rows, to be timed."""


class GraphSamples(Samples):
    """Arrays by input name, [rows, ...]."""

    def __init__(self, inputs: Mapping[str, Array], labels: Labels | None = None) -> None:
        self.inputs, self.labels = inputs, labels
        self.rows = len(next(iter(inputs.values())))

    def scores(self, ranker: runtime.Ranker) -> dict[str, Array]:
        """In batches."""
        parts = []
        for start in range(0, self.rows, _BATCH):
            given = {name: array[start : start + _BATCH] for name, array in self.inputs.items()}
            parts.append(_run(lambda given=given: ranker.predict(given)))
        return _joined(parts)

    def call(self, ranker: runtime.Ranker, rows: int) -> Callable[[], object]:
        """Of the graph's inputs."""
        given = {name: array[:rows] for name, array in self.inputs.items()}
        return lambda: ranker.predict(given)


class RankingSamples(Samples):
    """Rows of raw fields. Neighbours of one user make one request."""

    def __init__(self, plan: FeaturePlan, columns: Columns, labels: Labels | None = None) -> None:
        self.labels = labels
        self.rows = len(next(iter(columns.values()), ()))
        names = {side: plan.columns(side) for side in Side}
        self._items = {name: list(columns[name]) for name in names[Side.ITEM]}
        self._context = {name: list(columns[name]) for name in names[Side.CONTEXT]}
        self._requests: list[tuple[dict[str, Any], list[str], dict[str, list[Any]]]] = []
        users = [[columns[name][row] for name in names[Side.USER]] for row in range(self.rows)]
        for _, run in groupby(range(self.rows), key=lambda row: repr(users[row])):
            rows = list(run)
            user = dict(zip(names[Side.USER], users[rows[0]], strict=True))
            context = {name: [columns[name][r] for r in rows] for name in names[Side.CONTEXT]}
            self._requests.append((user, list(map(str, rows)), context))

    def scores(self, ranker: runtime.Ranker) -> dict[str, Array]:
        """Request by request; every row's item is in the table."""
        self._fill(ranker)
        return _joined([_run(lambda r=request: ranker.rank(*r)) for request in self._requests])

    def call(self, ranker: runtime.Ranker, rows: int) -> Callable[[], object]:
        """Of the first row's user, whose items and context are those of the rows."""
        self._fill(ranker)
        user, ids, context = self._requests[0][0], list(map(str, range(rows))), self._context
        given = {name: values[:rows] for name, values in context.items()}
        return lambda: ranker.rank(user, ids, given)

    def _fill(self, ranker: runtime.Ranker) -> None:
        ids = list(map(str, range(self.rows)))
        _run(lambda: ranker.items.replace({**self._items, ITEM_KEY: ids}, key=ITEM_KEY))


def _run(call: Any) -> Any:
    try:
        return call()
    except runtime.InferenceError as error:
        raise DataError(f"calibration data: {error}") from error


def _joined(parts: list[dict[str, Array]]) -> dict[str, Array]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def read_arrays(path: Path, ports: Sequence[Any], label: str | None) -> GraphSamples:
    """An .npz of graph inputs. `ports`: name, dtype and extents behind the row axis of each.

    Raises DataError for missing, surplus or misshapen arrays, NaN and infinity, or too few rows.
    """
    if path.suffix != ".npz":
        raise DataError(f"{path}: the calibration data of a graph without features comes as .npz")
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: cannot be read as .npz: {error}") from error
    wanted = [port.name for port in ports] + ([label] if label else [])
    missing = [name for name in wanted if name not in arrays]
    surplus = [name for name in arrays if name not in wanted]
    if missing or surplus:
        wrong = [f"{name!r} is missing" for name in missing]
        wrong += [f"{name!r} is no input of the graph" for name in surplus]
        raise DataError(f"{path}: {'; '.join(wrong)}")
    inputs = {port.name: _checked(path, port, arrays[port.name]) for port in ports}
    counts = {name: len(array) for name, array in inputs.items()}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{name!r} {count}" for name, count in counts.items())
        raise DataError(f"{path}: the arrays differ in rows: {listed}")
    rows = next(iter(counts.values()))
    _enough(path, rows)
    return GraphSamples(inputs, _labels(path, label, arrays.get(label or ""), rows))


def _checked(path: Path, port: Any, array: Array) -> Array:
    if array.shape[1:] != tuple(port.shape) or array.ndim == 0:
        want = ", ".join(map(str, ("rows", *port.shape)))
        raise DataError(f"{path}: {port.name!r} has shape {array.shape}; [{want}] is needed")
    if not np.can_cast(array.dtype, port.dtype, "same_kind"):
        raise DataError(f"{path}: {port.name!r} is of {array.dtype}; {port.dtype} is needed")
    if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
        row = int(np.argwhere(~np.isfinite(array))[0][0])
        raise DataError(f"{path}: {port.name!r} has a value in row {row} that is no finite number")
    return array.astype(port.dtype)


def read_requests(path: Path, plan: FeaturePlan, label: str | None) -> RankingSamples:
    """Rows or requests for a feature config. Raises DataError."""
    columns = read_columns(path, plan, label)
    rows = len(next(iter(columns.values()), ()))
    _enough(path, rows)
    labels = _labels(path, label, columns.get(label or ""), rows)
    return RankingSamples(plan, columns, labels)


def _enough(path: Path, rows: int) -> None:
    if rows < LEAST_ROWS:
        raise DataError(f"{path}: {rows} rows; calibration needs {LEAST_ROWS} at least")


def _labels(path: Path, label: str | None, given: Any, rows: int) -> Labels | None:
    if label is None:
        return None
    try:
        labels = np.asarray(given, np.float64).reshape(-1)
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}: label {label!r} is no number in every row") from error
    if len(labels) != rows or not np.isin(labels, (0.0, 1.0)).all():
        raise DataError(f"{path}: label {label!r} must be one 0 or 1 a row")
    if labels.min() == labels.max():
        raise DataError(f"{path}: label {label!r} is the same in all rows: AUC needs both")
    return labels
