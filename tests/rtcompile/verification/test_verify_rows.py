"""`rtcompile verify --rows`: what neither the graph nor its config shows is seen in the scores."""

from __future__ import annotations

import copy
import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from click.testing import CliRunner

import rtcompile
from rtcompile import runtime
from rtcompile.cli import main
from rtcompile.errors import ConfigError, DataError
from rtcompile.verification.replay_rows import RowsCheck
from tests.onnx_models import two_input_model
from tests.ranking_model import FEATURES, INPUTS, RankingModel, ranking_model

pytestmark = pytest.mark.slow

NAMES = ("user_id", "tags", "item_id", "price", "position")
ROWS = 40


@dataclass(frozen=True)
class Trained:
    """A model, an artifact as training meant it, and rows with its scores."""

    model: RankingModel
    artifact: Path
    rows: list[dict[str, Any]]


def features(**changes: dict[str, Any]) -> list[dict[str, Any]]:
    found = [copy.deepcopy(f) for f in FEATURES if f.get("feature_name") in NAMES]
    for one in found:
        one.update(changes.get(one["feature_name"], {}))
    return found


def built(folder: Path, name: str, config: list[dict[str, Any]]) -> tuple[RankingModel, Path]:
    model = ranking_model(folder, config, {name: INPUTS[name] for name in NAMES})
    output = folder / f"{name}.rtc"
    options = rtcompile.BuildOptions(features=model.features, embeddings=model.embeddings)
    rtcompile.build(model.onnx, options, output=output)
    return model, output


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("trained")
    model, artifact = built(folder, "mean", features())
    ranker = runtime.load(artifact)
    rows = []
    for k in range(ROWS):
        tags = None if k % 5 == 0 else [f"t{j}" for j in range(1 + k % 3)]
        user = {"user_id": k % 7, "tags": tags}
        item = {"item_id": k % 20, "price": k / 10}
        table = {"id": [str(k)], **{n: [v] for n, v in item.items()}}
        ranker.items.upsert(table, key="id")
        score = ranker.rank(user, [str(k)], {"position": [k % 5]})["ctr"][0, 0]
        rows.append({**user, **item, "position": k % 5, "score": float(score), "click": k % 2})
    return Trained(model, artifact, rows)


def saved(path: Path, rows: list[dict[str, Any]]) -> Path:
    if path.suffix == ".jsonl":
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    elif path.suffix == ".parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    else:
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    return path


def checked(artifact: Path, rows: Path, **options: Any) -> RowsCheck:
    (check,) = rtcompile.verify(artifact, rows, options.pop("scores", "score"), **options)
    assert isinstance(check, RowsCheck)
    return check


@pytest.mark.parametrize("ending", [".jsonl", ".parquet", ".csv"])
def test_scores_of_training_agree(trained: Trained, tmp_path: Path, ending: str) -> None:
    rows = trained.rows
    if ending == ".csv":  # which has no lists
        rows = [row for row in rows if not row["tags"] or len(row["tags"]) == 1]
        rows = [{**row, "tags": (row["tags"] or [None])[0]} for row in rows]
    path = saved(tmp_path / f"rows{ending}", rows)
    check = checked(trained.artifact, path, label="click")
    assert check.agrees, check
    assert (check.rows, check.beyond, check.largest) == (len(rows), 0, pytest.approx(0, abs=1e-6))
    recorded, computed = check.auc["ctr"]
    assert recorded == pytest.approx(computed)


def test_another_pooling_is_seen_and_named(trained: Trained, tmp_path: Path) -> None:
    _, artifact = built(tmp_path, "sum", features(tags={"pooling": "sum"}))
    path = saved(tmp_path / "rows.jsonl", trained.rows)
    check = checked(artifact, path)
    assert not check.agrees
    assert check.beyond == sum(len(row["tags"] or []) > 1 for row in trained.rows)
    worst = check.worst[0]
    assert worst.recorded == pytest.approx(trained.rows[worst.row]["score"])
    assert worst.fields["tags"] == trained.rows[worst.row]["tags"]
    assert "'tags' has several values" in check.suspects[0]
    assert "pooling" in check.suspects[0]


def test_another_default_is_seen_and_named(trained: Trained, tmp_path: Path) -> None:
    rows = [
        {**row, "price": None if k % 4 == 0 else row["price"]} for k, row in enumerate(trained.rows)
    ]
    check = checked(trained.artifact, saved(tmp_path / "rows.jsonl", rows))
    assert any("'price' is missing" in text for text in check.suspects)


def test_scores_before_the_sigmoid(trained: Trained, tmp_path: Path) -> None:
    rows = [
        {**row, "score": float(np.log(row["score"] / (1 - row["score"])))} for row in trained.rows
    ]
    check = checked(trained.artifact, saved(tmp_path / "rows.jsonl", rows))
    assert "before the sigmoid" in check.suspects[0]


def test_refused_rows_are_counted_and_named(trained: Trained, tmp_path: Path) -> None:
    rows = [
        {**row, "user_id": 999 if k == 3 else row["user_id"]} for k, row in enumerate(trained.rows)
    ]
    check = checked(trained.artifact, saved(tmp_path / "rows.jsonl", rows))
    assert list(check.refused) == [3]
    assert "999" in check.refused[3]
    assert not check.agrees
    assert check.beyond == 0


def test_a_tolerance(trained: Trained, tmp_path: Path) -> None:
    rows = [{**row, "score": row["score"] + 1e-3} for row in trained.rows]
    path = saved(tmp_path / "rows.jsonl", rows)
    assert checked(trained.artifact, path).beyond == ROWS
    assert checked(trained.artifact, path, tolerance=2e-3).agrees
    with pytest.raises(DataError, match="tolerance nan"):
        checked(trained.artifact, path, tolerance=float("nan"))


def test_a_nan_where_a_score_was_recorded_is_a_difference(trained: Trained, tmp_path: Path) -> None:
    rows = [{**row, "score": float("nan")} if k == 0 else row for k, row in enumerate(trained.rows)]
    check = checked(trained.artifact, saved(tmp_path / "rows.jsonl", rows))
    assert (check.beyond, check.largest) == (1, np.inf)


def test_the_command(trained: Trained, tmp_path: Path) -> None:
    path = saved(tmp_path / "rows.jsonl", trained.rows)
    command = ["verify", str(trained.artifact), "--rows", str(path), "--scores", "ctr=score"]
    result = CliRunner().invoke(main, [*command, "--label", "click"])
    assert result.exit_code == 0, result.output
    assert "40 rows, 0 of them further off" in result.output
    assert "AUC of ctr: recorded" in result.output
    shifted = [{**row, "score": row["score"] + 0.1} for row in trained.rows]
    saved(path, shifted)
    result = CliRunner().invoke(main, [*command, "--json"])
    assert result.exit_code == 60
    said = json.loads(result.stdout)
    assert said[0]["agrees"] is False
    assert said[0]["worst"][0]["fields"]["item_id"] is not None
    assert "40 of 40 rows do not agree" in result.stderr
    result = CliRunner().invoke(main, command)
    assert "recorded" in result.stdout
    assert "likely: nearly all rows differ" in result.stdout


def test_what_cannot_be_compared(trained: Trained, tmp_path: Path) -> None:
    rows = [{k: v for k, v in row.items() if k != "price"} for row in trained.rows]
    path = saved(tmp_path / "rows.jsonl", rows)
    with pytest.raises(DataError, match="columns 'price' are missing"):
        checked(trained.artifact, path)
    path = saved(tmp_path / "rows.jsonl", trained.rows)
    with pytest.raises(DataError, match="'nothing' are missing"):
        checked(trained.artifact, path, scores="nothing")
    with pytest.raises(DataError, match="output 'ctcvr' is none of the artifact's: ctr"):
        checked(trained.artifact, path, scores={"ctcvr": "score"})
    with pytest.raises(DataError, match="has no module for 'x86-64-v9'"):
        checked(trained.artifact, path, targets=["x86-64-v9"])
    with pytest.raises(ConfigError, match="name their column with scores"):
        rtcompile.verify(trained.artifact, path)
    with pytest.raises(ConfigError, match="give rows too"):
        rtcompile.verify(trained.artifact, scores="score")
    (tmp_path / "none.jsonl").write_text("")
    with pytest.raises(DataError, match=r"are missing|has no rows"):
        checked(trained.artifact, tmp_path / "none.jsonl")


def test_a_graph_without_features(tmp_path: Path) -> None:
    model = two_input_model(tmp_path / "m.onnx")
    rtcompile.build(model, output=tmp_path / "m.rtc")
    rng = np.random.default_rng(0)
    x, ids = rng.normal(size=(30, 5)).astype(np.float32), rng.integers(0, 10, 30)
    scores = runtime.load(tmp_path / "m.rtc").predict({"X": x, "ids": ids})["Y"][:, 0]
    rows = [{"X": x[k].tolist(), "ids": int(ids[k]), "score": float(scores[k])} for k in range(30)]
    for ending in (".jsonl", ".parquet"):
        path = saved(tmp_path / f"rows{ending}", rows)
        assert checked(tmp_path / "m.rtc", path).agrees
    rows[4]["ids"] = 5 if ids[4] != 5 else 6
    check = checked(tmp_path / "m.rtc", saved(tmp_path / "rows.jsonl", rows))
    assert [worst.row for worst in check.worst] == [4]
