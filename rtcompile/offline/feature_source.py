"""What extracts the features of a file: a config, or an artifact. It travels to the workers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from rtcompile import runtime
from rtcompile.command.counts_summary import Counters
from rtcompile.compile.feature_extractor import FeatureExtractor, compile_features
from rtcompile.errors import DataError
from rtcompile.runtime.artifact import MAGIC
from rtcompile.runtime.columns import Column
from rtcompile.runtime.encoding.arrow_values import table_column

__all__ = ["FeatureSource", "Refusal", "extract_named", "feature_source"]

Refusal = DataError | runtime.RequestError


class FeatureSource(Protocol):
    """Gives features. `names`: the columns that it reads; `identity`: equal where features are."""

    names: tuple[str, ...]
    identity: str

    def extract(self, columns: Mapping[str, Any], rows: int) -> Mapping[str, Column]:
        """The features of `rows` rows."""

    def counters(self) -> Counters:
        """What became of values, of all calls in this process."""


class _Compiled:
    def __init__(self, extractor: FeatureExtractor) -> None:
        self._extractor = extractor
        self.names = extractor.columns
        self.identity = extractor.digest()

    def extract(self, columns: Mapping[str, Any], rows: int) -> Mapping[str, Column]:
        return self._extractor(columns)

    def counters(self) -> Counters:
        return self._extractor.counters()


class _Loaded:
    """An artifact, loaded anew in each worker."""

    def __init__(self, path: Path, strict: bool) -> None:
        self._path, self._strict = path, strict
        self._ranker: runtime.Ranker | None = runtime.load(path, strict=strict)
        manifest = self._ranker.manifest
        if manifest["kind"] != "ranking":
            raise DataError(f"{path}: built without features; there is nothing to extract")
        every = [name for side in manifest["fields"].values() for name in side]
        self.names = tuple(dict.fromkeys(every))
        sections = json.dumps(manifest["sections"], sort_keys=True)
        self.identity = hashlib.sha256(sections.encode()).hexdigest()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_ranker": None}

    def extract(self, columns: Mapping[str, Any], rows: int) -> Mapping[str, Column]:
        self._ranker = self._ranker or runtime.load(self._path, strict=self._strict)
        values = {name: _values(name, column) for name, column in columns.items()}
        return self._ranker.extract_rows(values, rows)

    def counters(self) -> Counters:
        return self._ranker.counters() if self._ranker else {}


def _values(name: str, column: Any) -> Sequence[Any]:
    """A column's values. Raises DataError."""
    try:
        return table_column(column)
    except (TypeError, ValueError) as error:
        raise DataError(f"column {name!r}: {error}") from error


def feature_source(config: Path, strict: bool) -> FeatureSource:
    """Of a feature config or an artifact. Raises DataError, ConfigError, or one of the runtime."""
    try:
        with config.open("rb") as file:
            is_artifact = file.read(len(MAGIC)) == MAGIC
    except OSError as error:
        raise DataError(f"{config}: cannot be read: {error.strerror or error}") from error
    if is_artifact:
        return _Loaded(config, strict)
    return _Compiled(compile_features(config, strict=strict))


def extract_named(
    source: FeatureSource,
    columns: Mapping[str, Any],
    rows: int,
    where: str,
    place: Callable[[int], str],
) -> Mapping[str, Column]:
    """`source.extract`, whose errors name the file, `where`, and its row, `place(row)`.

    Raises DataError, RequestError.
    """
    try:
        return source.extract(columns, rows)
    except (DataError, runtime.RequestError) as error:
        found, row = _first_refused(source, columns, rows) or (error, None)
        named = where if row is None else f"{where}, {place(row)}"
        raise type(found)(f"{named}: {_said(found)}") from error


def _first_refused(
    source: FeatureSource, columns: Mapping[str, Any], rows: int
) -> tuple[Refusal, int | None] | None:
    """The error of the first row that is refused, and which that is; no row where it is a column's.

    None where no row is refused by itself.
    """

    def refusal(begin: int, end: int) -> Refusal | None:
        try:
            source.extract({n: column[begin:end] for n, column in columns.items()}, end - begin)
        except (DataError, runtime.RequestError) as error:
            return error
        return None

    if (of_column := refusal(0, 0)) is not None:
        return of_column, None
    low, high = 0, rows
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if refusal(low, middle) is not None else (middle, high)
    found = refusal(low, high)
    return None if found is None else (found, low)


def _said(error: Refusal) -> str:
    """Without the number of the row in what was given, which is none of the file."""
    of_value = error if isinstance(error, runtime.RequestError) else error.__cause__
    return of_value.without_row if isinstance(of_value, runtime.RequestError) else str(error)
