"""A bench in lower precision: calibrated on its own requests, beside our float32 build."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rtcompile.bench.latency import measure
from rtcompile.bench.lower_precision import write_requests
from rtcompile.bench.peers import Peers
from rtcompile.bench.subjects import subjects
from rtcompile.bench.workloads import prepare
from rtcompile.models.workloads.catalog import WORKLOADS
from rtcompile.models.workloads.scale import SMALL
from rtcompile.targets import resolve_target, runs_here

needs_bf16 = pytest.mark.skipif(
    not runs_here(resolve_target("x86-64-v4-bf16")), reason="no bfloat16 products here"
)


def test_each_request_has_items_of_its_own(tmp_path: Path) -> None:
    design = WORKLOADS["din"](SMALL, 0)
    rows = len(design.items["item_id"]) // 2 + 1
    path = write_requests(design, rows, tmp_path / "requests.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["user"] for line in lines] == [request.user for request in design.requests]
    taken = [item["item_id"] for line in lines[:2] for item in line["items"]]
    assert taken == (design.items["item_id"] * 2)[: 2 * rows]
    assert set(lines[0]["items"][0]) == set(design.items)


@needs_bf16
def test_a_workload_beside_its_float32_build(tmp_path: Path) -> None:
    prepared = prepare("din", tmp_path, SMALL, quantize="bf16")
    assert prepared.float32 is not None
    layers = prepared.ranker.manifest["precision"]["layers"]
    assert {layer["level"] for layer in layers} <= {"bf16", "float32"}
    peers = Peers(prepared.usual, ["float32"], print, prepared.float32)
    design = prepared.design
    (found,) = measure("din", prepared.ranker, peers, design.requests, design.items["item_id"], [9])
    assert list(found.peers) == ["float32"]
    assert found.moved is not None
    request = design.requests[0].of(9)
    given = request.user, design.items["item_id"][:9], request.context
    one, other = prepared.ranker.rank(*given), prepared.float32.rank(*given)
    for name, scores in one.items():
        np.testing.assert_allclose(scores, other[name], atol=0.05)


@needs_bf16
def test_a_subject_in_lower_precision(tmp_path: Path) -> None:
    (subject,) = subjects("din", (), tmp_path, lambda step: None, SMALL)
    assert subject.lowered("none", None, tmp_path) is subject
    lowered = subject.lowered("bf16", None, tmp_path)
    assert lowered.options.calibration == tmp_path / "din.calibration.jsonl"
    path = lowered.build(tmp_path / "din.rtc", lambda step: None)
    assert "precision" in lowered.load(path).manifest
