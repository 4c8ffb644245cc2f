"""The workloads: their published sizes, and their scores beside the originals' at a small scale."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from rtcompile.bench.workloads import Prepared, prepare
from rtcompile.models.workloads.catalog import WORKLOADS
from rtcompile.models.workloads.design import Design, Request, request_bytes, write
from rtcompile.models.workloads.scale import FULL, SMALL

# Building the others takes seconds each.
_FAST = ("ep1", "recom", "dlrm", "dcnv2")
_NAMES = [
    name if name in _FAST else pytest.param(name, marks=pytest.mark.slow) for name in WORKLOADS
]

# Features by type as published; bytes of a request where they are.
_SIZES = {
    "ep1": {"id_feature": 67, "raw_feature": 170, "lookup_feature": 756, "sequence": 32},
    "ep2": {"id_feature": 306, "raw_feature": 77, "lookup_feature": 60, "match_feature": 1000},
    "recom": {"raw_feature": 880 + 32, "id_feature": 50 + 50 + 15 + 5},
    "dlrm": {"raw_feature": 13, "id_feature": 26},
    "dcnv2": {"raw_feature": 13, "id_feature": 26},
    "din": {"raw_feature": 1, "id_feature": 15, "sequence": 3},
    "mmoe": {"raw_feature": 1, "id_feature": 15},
    "dssm": {"raw_feature": 1, "id_feature": 15, "sequence": 3},
}
_BYTES = {"ep1": (100, 50_000), "ep2": (150, 500_000)}


@pytest.fixture(scope="module", params=_NAMES)
def prepared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepare(request.param, tmp_path_factory.mktemp("workload"), SMALL)


def _requests(design: Design, rows: int) -> tuple[list[Request], list[str]]:
    items = (design.items["item_id"] * rows)[:rows]
    return [request.of(rows) for request in design.requests], items


@pytest.mark.parametrize("rows", [1, 7])
def test_scores_are_the_originals(prepared: Prepared, rows: int) -> None:
    requests, items = _requests(prepared.design, rows)
    for request in requests:
        expected = prepared.usual.rank(request.user, items, request.context)
        scores = prepared.ranker.rank(request.user, items, request.context)
        for name, want in expected.items():
            assert np.max(np.abs(scores[name] - want)) <= 1e-4 * max(np.ptp(want), 1e-2)


@pytest.mark.slow
def test_tensorflow_gives_the_same_scores(prepared: Prepared) -> None:
    pytest.importorskip("tensorflow")
    from rtcompile.bench.tensorflow_stack import TensorFlowStack

    stack = TensorFlowStack(prepared.usual.bound)
    for rows in (1, 7):
        requests, items = _requests(prepared.design, rows)
        for request in requests:
            fields = prepared.usual.fields(items)
            expected = prepared.usual.rank(request.user, items, request.context)
            scores = stack.scores(stack.prepared(request.user, fields, request.context))
            for name, want in expected.items():
                assert scores[name].shape == want.shape
                assert np.max(np.abs(scores[name] - want)) <= 1e-4 * max(np.ptp(want), 1e-2)


def test_scores_of_arrays_are_those_of_lists(prepared: Prepared) -> None:
    """The benchmarks hand the context over as arrays."""
    for rows in (1, 7):
        requests, items = _requests(prepared.design, rows)
        for request in requests:
            rank = partial(prepared.ranker.rank, request.user, items)
            want, found = rank(request.context or None), rank(request.arrays().context or None)
            assert all(np.array_equal(found[name], want[name]) for name in want)


@pytest.mark.parametrize("name", WORKLOADS)
def test_the_same_seed_gives_the_same_bytes(name: str, tmp_path: Path) -> None:
    for folder, seed in (("one", 0), ("two", 0), ("other", 1)):
        write(WORKLOADS[name](SMALL, seed), tmp_path / folder)
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert f"{name}.onnx" in files
    for file in files:
        one, two, other = ((tmp_path / f / file).read_bytes() for f in ("one", "two", "other"))
        assert one == two
        assert one != other or file.endswith(".json")


@pytest.mark.parametrize("name", WORKLOADS)
def test_sizes_are_the_published_ones(name: str) -> None:
    design = WORKLOADS[name](FULL, 0)
    assert design.feature_counts() == _SIZES[name]
    assert all(rows <= len(design.items["item_id"]) for rows in design.rows)
    if name in _BYTES:
        rows, wanted = _BYTES[name]
        assert rows in design.rows
        for request in design.requests:
            assert abs(request_bytes(request, rows) - wanted) < 0.1 * wanted
    json.dumps(design.config)
