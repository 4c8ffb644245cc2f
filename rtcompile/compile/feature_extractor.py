"""Features of a config, compiled for this machine: the same kernels that an artifact holds."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tvm_ffi

from rtcompile.codegen.features.lower import FeatureStage
from rtcompile.codegen.library.module import compile_stages
from rtcompile.codegen.program.constants import ConstantStore
from rtcompile.compile.stage_entries import describe_columns
from rtcompile.errors import DataError
from rtcompile.features.config.parse_config import load_config
from rtcompile.features.plan import FeaturePlan
from rtcompile.files.scratch_folder import scratch_folder
from rtcompile.runtime.columns import Column
from rtcompile.runtime.counters import counters_of
from rtcompile.runtime.encoding.arrow_values import arrow_table, table_column
from rtcompile.runtime.encoding.unparsed import UnparsedValues
from rtcompile.runtime.errors import RequestError
from rtcompile.runtime.memory.arrays import aligned_empty
from rtcompile.runtime.stages.extract import ColumnStage
from rtcompile.targets import resolve_target

__all__ = ["FeatureExtractor", "compile_features"]

STAGE = "features"


def compile_features(
    config: str | Path | Mapping[str, Any],
    base_dir: str | Path | None = None,
    hash: str | None = None,
    strict: bool = False,
) -> FeatureExtractor:
    """Compile a feature config: a path, or its content.

    `base_dir`: where vocabulary files are, by default the config's own folder. `hash`: "murmur" or
    "farmhash"; overrides the config's key of that name. `strict`: a value that is there but cannot
    be read is a DataError that names feature, row and value; else `counters` counts it. Raises
    ConfigError with every problem.
    """
    return FeatureExtractor(load_config(config, base_dir, hash), strict)


@dataclass(frozen=True)
class _Compiled:
    """What a compilation gives: all that a process needs to run it."""

    library: bytes
    constants: bytes
    description: dict[str, Any]
    assets: dict[str, bytes]


class FeatureExtractor:
    """Calls with columns give columns. Safe to call from many threads at once.

    It can be pickled, and so be handed to the workers of Spark or Ray: what was compiled travels,
    nothing is compiled again. The workers' machines must be able to run this machine's code.
    """

    def __init__(self, plan: FeaturePlan, strict: bool = False) -> None:
        self.plan, self.strict = plan, strict
        constants = ConstantStore()
        stage = FeatureStage(STAGE, constants)
        for feature in plan.features:
            stage.add_column(feature)
        program = stage.finish()
        data = constants.to_bytes()
        library = compile_stages([program], len(data), resolve_target("host"))
        description = describe_columns(program, stage.columns, plan.features)
        assets = {asset.name: asset.data for asset in plan.assets()}
        self._load(_Compiled(library, data, description, assets))

    def _load(self, compiled: _Compiled) -> None:
        self._compiled = compiled
        with scratch_folder() as folder:
            path = folder / "features.so"
            path.write_bytes(compiled.library)
            self._module = tvm_ffi.load_module(str(path))
        memory = aligned_empty(len(compiled.constants), "uint8")
        memory[:] = np.frombuffer(compiled.constants, np.uint8)
        held = tvm_ffi.from_dlpack(memory)
        description, assets = compiled.description, compiled.assets
        self._unparsed = UnparsedValues(self.strict)
        self._stage = ColumnStage(
            self._module[STAGE], description, held, assets, _where, self._unparsed
        )

    def __getstate__(self) -> dict[str, Any]:
        return {"plan": self.plan, "strict": self.strict, "compiled": self._compiled}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.plan, self.strict = state["plan"], state["strict"]
        self._load(state["compiled"])

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the raw columns that it reads, each once."""
        return tuple(dict.fromkeys(spec.name for spec in self._stage.specs if spec.name))

    def digest(self) -> str:
        """Equal for extractors that give equal features."""
        found = hashlib.sha256(repr(self.plan).encode())
        for name in sorted(self._compiled.assets):
            found.update(name.encode())
        return found.hexdigest()

    def counters(self) -> dict[str, dict[str, int]]:
        """By feature, over all calls: "defaulted", how many rows or elements took the default for
        want of a value, and "unparsed", how many values could not be read."""
        return counters_of([self._stage.stage], self._unparsed)

    def __call__(self, columns: Any) -> dict[str, Column]:
        """Extract every feature.

        `columns`: an Arrow table or what gives one, as frames of polars and pandas do, or a mapping
        of column name to an Arrow array, numpy's, or a list.
        A column of one row beside columns of n rows counts for all n. Raises DataError.
        """
        values = self._read(columns)
        rows = _row_count({name: len(column) for name, column in values.items()})
        try:
            return self._stage.run(self._stage.encoder.rows(values, rows))
        except RequestError as error:
            raise DataError(str(error)) from error

    def _read(self, given: Any) -> dict[str, Sequence[Any]]:
        """The values of the columns that are needed. Raises DataError."""
        try:
            columns = arrow_table(given)
        except Exception as error:  # whatever the code of a foreign object raises
            raise DataError(f"no table: {error}") from error
        if columns is None:
            raise DataError(
                f"{type(given).__name__} is no table; a mapping of columns, an Arrow table or a "
                "frame is needed"
            )
        names = tuple(columns.column_names) if hasattr(columns, "column_names") else tuple(columns)
        missing = [name for name in self.columns if name not in names]
        if missing:
            raise DataError(f"columns {', '.join(missing)} are missing; given are {list(names)}")
        return {name: _values(name, columns[name]) for name in self.columns}


def _where(name: str) -> str:
    return f"column {name!r}"


def _values(name: str, column: Any) -> Sequence[Any]:
    """A column's values. Raises DataError."""
    try:
        return table_column(column)
    except Exception as error:  # whatever the code of a foreign object raises
        raise DataError(f"{_where(name)}: {error}") from error


def _row_count(lengths: dict[str, int]) -> int:
    counts = set(lengths.values())
    many = counts - {1}
    if len(many) > 1:
        listed = ", ".join(f"{name}: {length}" for name, length in lengths.items())
        raise DataError(f"columns of different lengths ({listed}); one row, or the same for all")
    return many.pop() if many else max(counts, default=0)
