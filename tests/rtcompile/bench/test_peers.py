"""A bench of a workload: its peers, those that are missing, and its table."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from rich.console import Console

from rtcompile.bench.latency import measure
from rtcompile.bench.peers import PEERS, Peers, in_turn
from rtcompile.bench.tables import latency_table
from rtcompile.bench.timing import side_by_side
from rtcompile.bench.workloads import Prepared, prepare
from rtcompile.models.workloads.scale import SMALL


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepare("dcnv2", tmp_path_factory.mktemp("workload"), SMALL)


def test_missing_peers_are_said_and_left_out(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("tensorflow", "openvino"):
        monkeypatch.setitem(sys.modules, package, None)
    said: list[str] = []
    peers = Peers(prepared.usual, PEERS, said.append)
    assert said == [
        "tensorflow is not installed (pip install tensorflow-cpu): left out",
        "openvino is not installed (pip install openvino): left out",
    ]
    design = prepared.design
    items = design.items["item_id"]
    latencies = measure("w", prepared.ranker, peers, design.requests, items, (1, 50))
    assert [latency.rows for latency in latencies] == [1, 50]
    for latency in latencies:
        assert list(latency.peers) == ["usual-stack", "onnxruntime"]
        assert latency.requests_per_second == 1e6 / latency.microseconds
    screen = Console(width=200, record=True)
    screen.print(latency_table(latencies))
    assert "requests/s" in screen.export_text()


def test_openvino_runs_the_network(prepared: Prepared) -> None:
    pytest.importorskip("openvino")
    design, said = prepared.design, list[str]()
    calls = Peers(prepared.usual, ["openvino"], said.append).calls(
        [request.of(3) for request in design.requests], design.items["item_id"][:3]
    )
    assert not said
    calls["openvino"]()


def test_calls_come_in_turn() -> None:
    seen: list[int] = []
    call = in_turn([lambda k=k: seen.append(k) for k in range(3)])  # type: ignore[misc]
    for _ in range(4):
        call()
    assert seen == [0, 1, 2, 0]


def test_slow_calls_have_fewer_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0

    def slow() -> None:
        nonlocal now
        now += 4
        counts.append("slow")

    counts: list[str] = []
    monkeypatch.setattr("time.perf_counter", lambda: now)
    taken = side_by_side({"slow": slow, "quick": lambda: counts.append("quick")}, rounds=5)
    assert taken["slow"] == 4e6
    assert counts.count("slow") == 2 + 3


def test_files_of_a_workload_are_named_after_it(prepared: Prepared) -> None:
    path = prepared.usual.bound.path
    assert path.name == "dcnv2.onnx"
    assert Path(path.parent, "dcnv2.safetensors").exists()
