"""A bench of graphs: an ONNX file, the models of a library, and what their table says."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from rtcompile.bench import graphs
from rtcompile.bench.latency import Latency
from rtcompile.bench.peers import PEERS
from rtcompile.bench.tables import latency_table, summary
from rtcompile.cli import main
from rtcompile.models.zoo.catalog import ZOOS, Zoo
from tests.onnx_models import TABLE_ROWS, two_input_model


def _bench(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["bench", *map(str, arguments)])


def test_an_onnx_file_beside_its_engines(tmp_path: Path) -> None:
    model, figures = two_input_model(tmp_path / "m.onnx"), tmp_path / "f.json"
    result = _bench(model, "--rows", "1,70", "--against", "onnxruntime", "--json", figures)
    assert result.exit_code == 0, result.stderr
    found = json.loads(figures.read_text())
    assert [(one["model"], one["rows"], list(one["peers"])) for one in found] == [
        ("m", 1, ["onnxruntime"]),
        ("m", 70, ["onnxruntime"]),
    ]
    assert "against onnxruntime: geometric mean" in result.stdout


def test_ids_of_a_file_stay_within_their_tables(tmp_path: Path) -> None:
    graph = graphs.onnx_graph(two_input_model(tmp_path / "m.onnx"))
    plain: Any = {"per_request": False, "flat": False, "cuts": ()}
    ports = (
        SimpleNamespace(name="X", dtype="float32", shape=(5,), **plain),
        SimpleNamespace(name="ids", dtype="int64", shape=(), **plain),
    )
    inputs = graph.inputs(SimpleNamespace(input_ports=ports), 1000)  # type: ignore[arg-type]
    assert set(inputs["ids"].tolist()) == set(range(TABLE_ROWS))
    assert inputs["X"].shape == (1000, 5)


def test_what_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(b"text")
    result = _bench(path)
    assert result.exit_code == 10
    assert "not an ONNX model" in result.stderr


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A library of two models, the second of which needs two rows."""
    module: Any = ModuleType("tests_zoo")
    module.MODELS, module.FEWEST_ROWS = ("One", "Two"), {"Two": 2}
    module.export = lambda name, folder: SimpleNamespace(
        path=two_input_model(folder / f"{name}.onnx")
    )
    module.inputs = lambda count, seed: {
        "X": np.zeros((count, 5), np.float32),
        "ids": np.zeros(count, np.int64),
        "of another model": np.zeros(count),
    }
    monkeypatch.setitem(sys.modules, "tests_zoo", module)
    monkeypatch.setitem(ZOOS, "small", Zoo("a library", "tests_zoo", (), "pip install it"))
    yield module


@pytest.mark.slow
def test_a_library(library: ModuleType, tmp_path: Path) -> None:
    figures = tmp_path / "f.json"
    result = _bench(
        *("zoo:small", "--rows", "1,3", "--against", "onnxruntime,openvino", "--json", figures)
    )
    assert result.exit_code == 0, result.stderr
    found = [(one["model"], one["rows"]) for one in json.loads(figures.read_text())]
    assert found == [("One", 1), ("One", 3), ("Two", 3)]
    assert "of 3, lowest" in result.stdout
    chosen = _bench("zoo:small", "--rows", "3", "--models", "Two", "--json", figures)
    assert chosen.exit_code == 0, chosen.stderr
    assert [one["model"] for one in json.loads(figures.read_text())] == ["Two"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["zoo:smll"], 30, "zoo:smll: known are zoo, zoo:deepctr, zoo:rechub, zoo:small"),
        (["zoo:small", "--models", "Three"], 30, "--models Three: not in zoo:small"),
        (["zoo:small", "--against", "tensorflow"], 30, "known are onnxruntime, openvino"),
        (["ep1", "--models", "One"], 30, "--models chooses among the models of zoo"),
    ],
)
def test_what_is_not_there(
    library: ModuleType, arguments: list[str], code: int, message: str
) -> None:
    result = _bench(*arguments)
    assert result.exit_code == code
    assert message in result.stderr


def test_a_library_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    zoo = Zoo("a library", "tests_zoo", ("json", "no_such_package"), "pip install it")
    monkeypatch.setitem(ZOOS, "deepctr", zoo)
    result = _bench("zoo:deepctr")
    assert result.exit_code == 11
    assert "the models of a library need no_such_package: pip install it" in result.stderr


def test_engines_that_cannot_run_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    result = _bench(two_input_model(tmp_path / "m.onnx"), "--rows", "2")
    assert result.exit_code == 0, result.stderr
    assert "openvino is not installed (pip install openvino): left out" in result.stderr


def test_the_summary() -> None:
    latencies = [
        Latency("a", 1, 10.0, {"x": 20.0, "y": 40.0}, build_seconds=2.0),
        Latency("b", 1, 10.0, {"x": 80.0}, build_seconds=3.04),
    ]
    assert summary(latencies) == [
        "against x: geometric mean 4.00x of 2, lowest 2.00x (a at 1)",
        "against y: geometric mean 4.00x of 1, lowest 4.00x (a at 1)",
        "against the best of them: geometric mean 4.00x of 2, lowest 2.00x (a at 1)",
        "longest build, with verification: 3.0 s (b)",
    ]
    assert summary([Latency("a", 1, 10.0, {})]) == []


@pytest.mark.parametrize("graphs_only", [False, True])
def test_tables_fit_eighty_columns(graphs_only: bool) -> None:
    peers = graphs.ENGINES if graphs_only else PEERS
    taken = dict.fromkeys(peers, 495_123.4)
    screen = Console(width=80, record=True)
    screen.print(latency_table([Latency("movielens-deepfm", 2048, 13_019.2, taken)], graphs_only))
    text = screen.export_text()
    assert "…" not in text
    assert "movielens-deepfm" in text
    assert text.count("495,123") == len(peers)
    assert text.count("(38.03x)") == len(peers)
