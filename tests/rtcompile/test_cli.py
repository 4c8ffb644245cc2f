"""The command line: results where they belong, and one message and an exit code for errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from click.testing import CliRunner, Result

from rtcompile.cli import main
from tests.ranking_model import USER, RankingModel, items, ranking_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> RankingModel:
    return ranking_model(tmp_path_factory.mktemp("cli"))


@pytest.fixture(scope="module")
def artifact(model: RankingModel) -> Path:
    path = model.onnx.with_suffix(".rtc")
    result = _run(
        "build",
        model.onnx,
        *("--features", model.features),
        *("--embeddings", model.embeddings),
        *("-o", path, "--explain"),
    )
    assert result.exit_code == 0, result.stderr
    assert "verified on" in result.stderr
    assert "fuse_dense" in result.stderr
    return path


def _run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def _rows(count: int) -> list[dict[str, Any]]:
    table = items(count)
    table["item_id"] = list(range(count))
    return [{n: values[row] for n, values in table.items() if n != "id"} for row in range(count)]


def _write(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    return _write(tmp_path / "items.jsonl", _rows(5))


def test_rank(artifact: Path, catalog: Path, tmp_path: Path) -> None:
    request = {"user": USER, "items": [1, "2"], "context": {"position": [0, 1]}}
    requests = _write(tmp_path / "requests.jsonl", [request, {**request, "items": [4, 0]}])
    scores = tmp_path / "scores.jsonl"
    result = _run("rank", artifact, "--items", catalog, "--requests", requests, "-o", scores)
    assert result.exit_code == 0, result.stderr
    lines = [json.loads(line) for line in scores.read_text().splitlines()]
    assert [line["items"] for line in lines] == [[1, "2"], [4, 0]]
    assert len(lines[0]["scores"]["ctr"]) == 2
    printed = _run("rank", artifact, "--items", catalog, "--requests", requests)
    assert printed.stdout == scores.read_text()


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ("{", 30, "line 1: not JSON"),
        ("[]", 30, "line 1: an object with user and items"),
        ('{"user": {}, "items": [], "itms": []}', 30, "line 1: unknown key 'itms'"),
        ('{"user": {}, "items": []}', 83, "line 1: user: missing 'user_id'"),
    ],
)
def test_bad_requests(
    artifact: Path, catalog: Path, tmp_path: Path, line: str, code: int, message: str
) -> None:
    requests = tmp_path / "requests.jsonl"
    requests.write_text(line)
    scores = tmp_path / "scores.jsonl"
    result = _run("rank", artifact, "--items", catalog, "--requests", requests, "-o", scores)
    assert result.exit_code == code
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert not scores.exists()


def test_an_unknown_item_has_its_own_code(artifact: Path, catalog: Path, tmp_path: Path) -> None:
    request = {"user": USER, "items": ["77"], "context": {"position": [0]}}
    requests = _write(tmp_path / "requests.jsonl", [request])
    result = _run("rank", artifact, "--items", catalog, "--requests", requests)
    assert result.exit_code == 85
    assert "line 1: items '77' are not in the item table" in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("by", ["artifact", "config"])
def test_extract(artifact: Path, model: RankingModel, tmp_path: Path, by: str) -> None:
    rows = [{**USER, **row, "position": 3} for row in _rows(4)]
    source = _write(tmp_path / "rows.jsonl", rows)
    config = artifact if by == "artifact" else model.features
    for suffix in (".parquet", ".jsonl"):
        output = tmp_path / f"features{suffix}"
        result = _run("extract", config, source, "-o", output)
        assert result.exit_code == 0, result.stderr
    table = pyarrow.parquet.read_table(tmp_path / "features.parquet").to_pylist()
    lines = [json.loads(line) for line in (tmp_path / "features.jsonl").read_text().splitlines()]
    assert table == lines
    assert [line["item_id"] for line in lines] == [[0], [1], [2], [3]]
    assert lines[0]["hist__item_id"] == [[1], [2], [3]]
    assert lines[0]["size"] == [0.0, 1.0, -1.0]
    assert len(lines[0]["scored__weights"]) == len(lines[0]["scored"])


@pytest.mark.slow
def test_bad_extractions(model: RankingModel, tmp_path: Path) -> None:
    source = _write(tmp_path / "rows.jsonl", [{"age": 1}])
    assert _run("extract", model.features, source, "-o", tmp_path / "o.txt").exit_code == 30
    assert _run("extract", tmp_path / "no.json", source, "-o", tmp_path / "o.jsonl").exit_code == 30
    result = _run("extract", model.features, source, "-o", tmp_path / "o.jsonl")
    assert result.exit_code == 30
    assert "are missing" in result.stderr
    assert not (tmp_path / "o.jsonl").exists()


def test_inspect(artifact: Path, artifact_path: Path) -> None:
    manifest = json.loads(_run("inspect", artifact, "--json").stdout)
    assert manifest["kind"] == "ranking"
    assert manifest["fields"]["context"] == ["position"]
    shown = _run("inspect", artifact)
    assert shown.exit_code == 0
    assert "hist__item_id" in shown.stdout
    assert _run("inspect", artifact_path).exit_code == 0


def test_bench(artifact: Path, artifact_path: Path, tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    result = _run("bench", artifact_path, "--rows", "1,2", "--json", figures)
    assert result.exit_code == 0, result.stderr
    assert [figure["rows"] for figure in json.loads(figures.read_text())] == [1, 2]
    for arguments, message in (
        (["--rows", "x"], "--rows x: counts from 1 on"),
        (["--against", "torch"], "not a peer; known are usual-stack, tensorflow"),
        (["dlrm", "--against", "float32"], "not a peer; known are usual-stack, tensorflow"),
        (["dlrm", "--quantize", "bf16", "--calibration", "x.npz"], "--calibration is for ONNX"),
        (["movielens-dim"], "did you mean 'movielens-din'"),
        ([str(artifact)], "give a workload"),
        ([str(artifact_path), "--against", "onnxruntime"], "an artifact alone has none"),
    ):
        failed = _run("bench", *arguments)
        assert failed.exit_code != 0
        assert message in failed.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["build", "none.onnx", "-o", "x.rtc"], 10, "none.onnx: no such file"),
        (["inspect", "none.rtc"], 81, "none.rtc: cannot be read"),
        (["build"], 2, "Missing argument"),
    ],
)
def test_errors(arguments: list[str], code: int, message: str) -> None:
    result = _run(*arguments)
    assert result.exit_code == code
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_embedding_dtypes(model_path: Path, tmp_path: Path) -> None:
    output, build = tmp_path / "low.rtc", ("build", model_path, "--explain")
    result = _run(*build, "--embedding-dtype", "int8", "-o", output)
    assert result.exit_code == 0, result.stderr
    assert "fewer than 64 rows" in result.stderr
    assert "stored tables" not in result.stderr
    result = _run(*build, "--table-dtype", "table=int4", "-o", output)
    assert result.exit_code == 0, result.stderr
    assert "stored tables move scores by" in result.stderr
    shown = _run("inspect", output).stdout
    assert "int4" in shown
    (table,) = json.loads(_run("inspect", output, "--json").stdout)["tables"]
    assert table["dtype"] == "int4"
    assert table["bytes"] == 64 + 10 * (2 + 4)
    assert table["note"] == "chosen by name"
    for wrong, code in (("table", 2), ("table=int7", 20), ("tables=int8", 22)):
        assert _run(*build, "--table-dtype", wrong, "-o", output).exit_code == code


@pytest.mark.slow
def test_what_became_of_values_is_told_or_an_error(
    artifact: Path, model: RankingModel, catalog: Path, tmp_path: Path
) -> None:
    request = {"user": {**USER, "age": "old"}, "items": [1, 2], "context": {"position": [0, 1]}}
    requests = _write(tmp_path / "requests.jsonl", [request])
    rank = ["rank", artifact, "--items", catalog, "--requests", requests]
    result = _run(*rank)
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 1
    assert "feature 'age': 1 values could not be read, 1 places took the default" in result.stderr
    strict = _run(*rank, "--strict")
    assert strict.exit_code == 83
    assert "line 1: feature 'age': user field 'age', row 0: 'old' cannot be read" in strict.stderr
    assert not strict.stdout

    rows = [{**USER, **row, "position": 3, "age": age} for row, age in zip(_rows(2), ("x", None))]  # noqa: B905
    source, output = _write(tmp_path / "rows.jsonl", rows), tmp_path / "features.jsonl"
    for config, code in ((artifact, 83), (model.features, 30)):
        result = _run("extract", config, source, "-o", output)
        assert "feature 'age': 1 values could not be read, 2 places" in result.stderr
        output.unlink()
        strict = _run("extract", config, source, "-o", output, "--strict")
        assert strict.exit_code == code
        assert "line 1: feature 'age'" in strict.stderr and "'x' cannot be read" in strict.stderr
        assert not output.exists()
