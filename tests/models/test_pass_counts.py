"""Each pass fires on the models that it is meant for, as `rtcompile build --explain` shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from rtcompile.compile.compiler import Compiler
from rtcompile.features.config.parse_config import load_config
from rtcompile.models.workloads.catalog import WORKLOADS
from rtcompile.models.workloads.design import write
from rtcompile.models.workloads.scale import SMALL
from rtcompile.models.zoo.catalog import Exported
from rtcompile.options import BuildOptions
from rtcompile.targets import resolve_target

_WORKLOADS = {
    "ep1": {
        "lift_embeddings",
        "check_row_independence",
        "drop_expansions",
        "split_products",
        "split_stages",
        "fuse_dense",
        "lift_shared_matmuls",
        "lift_softmax",
        "gather_blocks",
        "trim_sequences",
    },
    "din": {"share_values", "split_products", "lift_shared_matmuls", "trim_sequences"},
    "mmoe": {"share_values", "split_products", "lift_softmax"},
    "dlrm": {"lift_batch_matmuls", "gather_blocks"},
}
_DEEPCTR = {
    "DCNMix": {"matvec_to_matmul", "view_reshapes", "lower_unit_axes"},
    "xDeepFM": {"pointwise_conv_to_matmul", "sink_permutes", "fuse_outer_products"},
    "AFN": {"fold_affines"},
    "DIFM": {"scale_factors", "lift_batch_matmuls"},
}
_RECHUB = {"DIEN": {"slice_picks", "fold_affines"}, "GRU4Rec": {"slice_picks"}}


def _fired(model: Path, options: BuildOptions) -> set[str]:
    plan = load_config(Path(options.features)) if options.features else None
    compiler = Compiler(model, plan, options, resolve_target("host"), lambda step: None)
    compiler.tasks()
    applied: Counter[str] = Counter()
    for record in compiler.report.passes:
        applied[record.name] += record.applied
    return {name for name, count in applied.items() if count}


@pytest.mark.parametrize("name", _WORKLOADS)
def test_passes_fire_on_workloads(name: str, tmp_path: Path) -> None:
    workload = write(WORKLOADS[name](SMALL, 0), tmp_path)
    options = BuildOptions(features=workload.features, embeddings=workload.tables)
    assert _WORKLOADS[name] - _fired(workload.model, options) == set()


def _zoo(export: Callable[[str, Path], Exported], name: str, folder: Path) -> set[str]:
    return _fired(export(name, folder).path, BuildOptions())


@pytest.mark.slow
@pytest.mark.parametrize("name", _DEEPCTR)
def test_passes_fire_on_graphs_of_deepctr(name: str, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the models come from torch (extra: torch)")
    pytest.importorskip("sklearn", reason="deepctr-torch needs it")
    # Which imports deepctr-torch without what it asks the network with.
    from rtcompile.models.zoo.deepctr import export

    assert _DEEPCTR[name] - _zoo(export, name, tmp_path) == set()


@pytest.mark.slow
@pytest.mark.parametrize("name", _RECHUB)
def test_passes_fire_on_graphs_of_rechub(name: str, tmp_path: Path) -> None:
    pytest.importorskip("torch_rechub", reason="the models come from torch (extra: torch)")
    from rtcompile.models.zoo.rechub import export

    assert _RECHUB[name] - _zoo(export, name, tmp_path) == set()
