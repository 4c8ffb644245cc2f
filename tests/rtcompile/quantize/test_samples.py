"""Calibration data: what is read, and what is refused with a reason."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from rtcompile.errors import DataError
from rtcompile.features.config.parse_config import load_config
from rtcompile.features.plan import FeaturePlan
from rtcompile.quantize.samples import LEAST_ROWS, RankingSamples, read_arrays, read_requests

FEATURES = [
    {"feature_type": "raw_feature", "feature_name": "age", "expression": "user:age"},
    {"feature_type": "raw_feature", "feature_name": "price", "expression": "item:price"},
    {"feature_type": "raw_feature", "feature_name": "place", "expression": "context:place"},
]


@dataclass(frozen=True)
class Port:
    name: str
    dtype: str
    shape: tuple[int, ...]


PORTS = (Port("x", "float32", (3,)), Port("id", "int64", ()))


def arrays(rows: int = LEAST_ROWS, **changes: Any) -> dict[str, Any]:
    found = {
        "x": np.ones((rows, 3), np.float32),
        "id": np.arange(rows),
        "clicked": np.arange(rows) % 2,
    }
    found.update(changes)
    return {name: array for name, array in found.items() if array is not None}


def saved(folder: Path, given: dict[str, Any]) -> Path:
    path = folder / "data.npz"
    np.savez(path, **given)
    return path


def test_arrays_and_labels_are_read(tmp_path: Path) -> None:
    found = read_arrays(saved(tmp_path, arrays(40, x=np.ones((40, 3)))), PORTS, "clicked")
    assert found.rows == 40
    assert found.inputs["x"].dtype == np.float32
    assert found.labels is not None
    assert found.labels.sum() == 20


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id": None}, r"'id' is missing"),
        ({"y": np.ones(3)}, r"'y' is no input of the graph"),
        ({"x": np.ones((LEAST_ROWS, 4))}, r"'x' has shape \(32, 4\); \[rows, 3\] is needed"),
        ({"x": np.ones(())}, r"'x' has shape \(\)"),
        ({"id": np.ones(LEAST_ROWS)}, r"'id' is of float64; int64 is needed"),
        ({"id": np.arange(40)}, r"differ in rows: 'x' 32, 'id' 40"),
        ({"x": np.full((LEAST_ROWS, 3), np.nan)}, r"'x' has a value in row 0 that is no finite"),
        ({"clicked": np.arange(LEAST_ROWS)}, r"label 'clicked' must be one 0 or 1 a row"),
        ({"clicked": np.ones(LEAST_ROWS)}, r"label 'clicked' is the same in all rows"),
        ({"clicked": None}, r"'clicked' is missing"),
    ],
)
def test_bad_arrays_are_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_arrays(saved(tmp_path, arrays(**changes)), PORTS, "clicked")


def test_too_few_rows(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="5 rows; calibration needs 32"):
        read_arrays(saved(tmp_path, arrays(5)), PORTS, "clicked")


def test_files_that_are_no_arrays(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    path.write_bytes(b"not a zip file")
    with pytest.raises(DataError, match="cannot be read"):
        read_arrays(path, PORTS, None)
    with pytest.raises(DataError, match=r"comes as \.npz"):
        read_arrays(tmp_path / "data.csv", PORTS, None)


@pytest.fixture
def plan(tmp_path: Path) -> FeaturePlan:
    config = tmp_path / "fg.json"
    config.write_text(json.dumps({"features": FEATURES}))
    return load_config(config)


class Recorder:
    """Stands in for a ranker: the score of a row is its fields' sum."""

    def __init__(self) -> None:
        self.items, self.requests = self, 0
        self.prices: dict[str, float] = {}

    def replace(self, columns: dict[str, Any], key: str) -> None:
        self.prices = dict(zip(columns[key], columns["price"], strict=True))

    def rank(self, user: Any, ids: list[str], context: Any) -> dict[str, Any]:
        self.requests += 1
        rows = zip(ids, context["place"], strict=True)
        return {"y": np.array([user["age"] + self.prices[i] + place for i, place in rows])}


def test_rows_become_requests_of_one_user(tmp_path: Path, plan: FeaturePlan) -> None:
    rows = 40
    columns = {
        "age": [float(row // 10) for row in range(rows)],
        "price": [row / 100 for row in range(rows)],
        "place": [float(row % 3) for row in range(rows)],
        "clicked": [row % 2 for row in range(rows)],
    }
    path = tmp_path / "rows.parquet"
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    samples = read_requests(path, plan, "clicked")
    ranker: Any = Recorder()
    got = samples.scores(ranker)["y"]
    want = np.sum([columns[name] for name in ("age", "price", "place")], axis=0)
    np.testing.assert_allclose(got, want)
    assert ranker.requests == 4
    assert samples.labels is not None


def test_requests_with_their_items_in_place(tmp_path: Path, plan: FeaturePlan) -> None:
    request = {
        "user": {"age": 20.0},
        "items": [{"price": k / 10} for k in range(LEAST_ROWS)],
        "context": {"place": [1.0] * LEAST_ROWS},
        "clicked": [k % 2 for k in range(LEAST_ROWS)],
    }
    path = tmp_path / "requests.jsonl"
    path.write_text(json.dumps(request) + "\n")
    samples = read_requests(path, plan, "clicked")
    got = samples.scores(Recorder())["y"]  # type: ignore[arg-type]
    np.testing.assert_allclose(got, 21 + np.arange(LEAST_ROWS) / 10)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"items": [{"cost": 1}]}, r"line 1: .*'price' is missing"),
        ({"items": ["i1"]}, r"line 1: not a request with its items' fields in place"),
        ({"context": {"place": [1.0]}}, r"'place' has not a value an item"),
    ],
)
def test_bad_requests_are_named(
    tmp_path: Path, plan: FeaturePlan, change: dict[str, Any], message: str
) -> None:
    request = {"user": {"age": 1}, "items": [{"price": 1}] * 2, "context": {"place": [0, 0]}}
    path = tmp_path / "requests.jsonl"
    path.write_text(json.dumps({**request, **change}) + "\n")
    with pytest.raises(DataError, match=message):
        read_requests(path, plan, None)


def test_a_row_that_the_artifact_refuses_is_a_data_error(plan: FeaturePlan) -> None:
    from rtcompile import runtime

    class Refusing(Recorder):
        def rank(self, user: Any, ids: list[str], context: Any) -> dict[str, Any]:
            raise runtime.RequestError("user field 'age': no number")

    columns = {name: [1.0] for name in ("age", "price", "place")}
    with pytest.raises(DataError, match="calibration data: user field 'age'"):
        RankingSamples(plan, columns).scores(Refusing())  # type: ignore[arg-type]
