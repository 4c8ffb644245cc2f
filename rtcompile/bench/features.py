"""`rtcompile bench features`: nanoseconds a value of each feature type, beside its peers.

rtcompile   the kernel, from encoded columns to ids, numbers or pooled rows
tensorflow  its ops, from string tensors, where it has them
python      the plain-Python definition, from the raw values

One thread, all in turns in one process.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tvm_ffi

from rtcompile.bench.feature_cases import DIMENSION, TABLE_ROWS, Case, cases, thousand
from rtcompile.bench.timing import side_by_side
from rtcompile.codegen.features.lower import FeatureStage
from rtcompile.codegen.library.module import compile_stages
from rtcompile.codegen.program.constants import ConstantStore
from rtcompile.codegen.program.program import Port, StageProgram
from rtcompile.compile.reference_inputs import pool
from rtcompile.compile.stage_entries import describe_columns
from rtcompile.features.config.parse_config import load_config
from rtcompile.features.plan import FeaturePlan
from rtcompile.features.reference.reference_features import extract
from rtcompile.files.scratch_folder import scratch_folder
from rtcompile.runtime.memory.arrays import aligned_empty
from rtcompile.runtime.stages.extract import ColumnStage
from rtcompile.targets import resolve_target

__all__ = ["FeatureTiming", "StageTiming", "time_features", "time_stage"]


@dataclass(frozen=True)
class FeatureTiming:
    """Nanoseconds a `unit`; `peers`: name -> the same, None where it has no such op."""

    name: str
    unit: str
    rtcompile: float
    peers: dict[str, float | None]


@dataclass(frozen=True)
class StageTiming:
    """A stage of many features: seconds to build it, microseconds to run it for `items` items."""

    features: int
    build_seconds: float
    items: int
    microseconds: float


class _Kernels:
    """The kernels of every case in one library."""

    def __init__(self, given: list[Case], table: npt.NDArray[np.float32]) -> None:
        constants = ConstantStore()
        self._stages: list[tuple[StageProgram, dict[str, Any]]] = []
        self.plans: list[FeaturePlan] = []
        place = constants.add_table("table", table)
        for number, case in enumerate(given):
            plan = load_config({"features": case.features}, hash="farmhash")
            stage = FeatureStage(f"case_{number}", constants)
            if case.pooled:
                stage.add_pooled(plan.features[0], Port("f", "float32", (table.shape[1],)), place)
            else:
                for feature in plan.features:
                    stage.add_column(feature)
            program = stage.finish()
            self._stages.append((program, describe_columns(program, stage.columns, plan.features)))
            self.plans.append(plan)
        data = constants.to_bytes()
        programs = [program for program, _ in self._stages]
        library = compile_stages(programs, len(data), resolve_target("host"))
        self._module = _loaded(library)
        memory = aligned_empty(len(data), "uint8")
        memory[:] = np.frombuffer(data, np.uint8)
        self._constants = tvm_ffi.from_dlpack(memory)

    def call(self, number: int, case: Case) -> Callable[[], object]:
        """A call of the kernels of one case on encoded columns."""
        program, description = self._stages[number]
        stage = ColumnStage(self._module[program.name], description, self._constants, {})
        names = [spec.name for spec in stage.specs if spec.name]
        rows = max(len(case.columns[name]) for name in names)
        encoded = stage.encoder.rows(case.columns, rows)
        return stage.prepared(encoded)


def _loaded(library: bytes) -> Any:
    with scratch_folder() as folder:
        path = folder / "features.so"
        path.write_bytes(library)
        return tvm_ffi.load_module(str(path))


def _python(case: Case, plan: FeaturePlan, table: npt.NDArray[np.float32]) -> Callable[[], object]:
    def run() -> object:
        columns = extract(plan, case.columns)
        return pool(columns["f"], table, "sum") if case.pooled else columns

    return run


def time_features(against: Mapping[str, Any] | None = None) -> list[FeatureTiming]:
    """Every case, in turns with its peers. `against`: peer -> what makes calls of cases."""
    given = cases()
    table = np.random.default_rng(0).normal(size=(TABLE_ROWS, DIMENSION)).astype(np.float32)
    kernels = _Kernels(given, table)
    makers = against if against is not None else _tensorflow(table)
    found = []
    for number, case in enumerate(given):
        calls = {"rtcompile": kernels.call(number, case)}
        calls["python"] = _python(case, kernels.plans[number], table)
        for name, maker in makers.items():
            call = maker.call(case)
            if call is not None:
                calls[name] = call
        taken = side_by_side(calls)
        each = {name: 1000 * taken[name] / case.values for name in taken}
        peers = {name: each.get(name) for name in [*makers, "python"]}
        found.append(FeatureTiming(case.name, case.unit, each["rtcompile"], peers))
    return found


def time_stage() -> StageTiming:
    """A thousand features."""
    case = thousand()
    begin = time.perf_counter()
    kernels = _Kernels([case], np.zeros((1, DIMENSION), np.float32))
    built = time.perf_counter() - begin
    taken = side_by_side({"rtcompile": kernels.call(0, case)})
    return StageTiming(len(case.features), built, case.values, taken["rtcompile"])


def _tensorflow(table: npt.NDArray[np.float32]) -> dict[str, Any]:
    from rtcompile.bench.tensorflow_features import TensorFlowFeatures

    try:
        return {"tensorflow": TensorFlowFeatures(table)}
    except ImportError:
        return {}
