"""Layers that are no faster in lower precision go back to float32."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from onnx import TensorProto, helper

import rtcompile
from rtcompile.compile.compiler import Candidate
from rtcompile.quantize.assign import Assignment, LayerCost
from rtcompile.quantize.quality import Quality
from rtcompile.quantize.speed_gate import keep_faster
from rtcompile.targets import resolve_target
from tests.onnx_models import save

LAYERS = [LayerCost(f"cross/{k}", work) for k, work in enumerate((4000, 10, 300, 20, 9))]


def kept(slow: set[str]) -> tuple[Assignment, list[dict[str, str]]]:
    """With builds that are slower as long as one of `slow` is in int8."""
    levels = {layer.name: "int8" for layer in LAYERS[:-1]} | {LAYERS[-1].name: "float32"}
    assignment, built = Assignment(levels, Quality(0.0, 0.0)), []

    def build() -> Candidate:
        built.append(dict(assignment.levels))
        return cast(Candidate, built[-1])

    def pace(candidate: Any) -> Mapping[int, float]:
        return {1: 1.5, 100: 0.9 if any(candidate[name] == "int8" for name in slow) else 1.2}

    assert cast(Any, keep_faster(assignment, LAYERS, build, pace)) == assignment.levels
    return assignment, built


def test_a_build_that_is_faster_stays_as_it_is() -> None:
    assignment, built = kept(set())
    assert len(built) == 1
    assert not assignment.reasons


def test_the_layers_of_least_work_go_back_first() -> None:
    assignment, built = kept({"cross/1"})
    assert len(built) == 2
    back = {name for name, level in assignment.levels.items() if level == "float32"}
    assert back == {"cross/1", "cross/3", "cross/4"}
    assert set(assignment.reasons) == {"cross/1", "cross/3"}
    assert "requests of 100 rows take 1.11 times as long" in assignment.reasons["cross/1"]


def test_a_build_that_is_never_faster_is_the_one_in_float32() -> None:
    assignment, built = kept({"cross/0"})
    assert set(assignment.levels.values()) == {"float32"}
    assert len(built) == 4


def test_nothing_is_known_without_rows() -> None:
    assignment = Assignment({"cross/0": "int8"}, Quality(0.0, 0.0))
    keep_faster(assignment, LAYERS, lambda: cast(Candidate, None), lambda _: {})
    assert assignment.levels == {"cross/0": "int8"}


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """x [n, 16] -> 16 -> 64 -> 1: the first layer is too small for rows of their own ranges."""
    if not resolve_target("host").registers.int8:
        pytest.skip("no instruction for int8 here")
    rng, nodes, constants = np.random.default_rng(0), [], {}
    sizes = (16, 16, 64, 1)
    for k, (depth, columns) in enumerate(itertools.pairwise(sizes)):
        constants[f"w{k}"] = rng.normal(size=(depth, columns)).astype(np.float32) / 8
        nodes.append(helper.make_node("MatMul", [f"x{k}", f"w{k}"], [f"m{k}"]))
        nodes.append(helper.make_node("Relu", [f"m{k}"], [f"x{k + 1}"]))
    floats = TensorProto.FLOAT
    ports = {"x0": (floats, ["n", 16])}, {"x3": (floats, ["n", 1])}
    return save(tmp_path / "m.onnx", nodes, constants, *ports)


@pytest.mark.slow
def test_a_small_layer_of_dynamic_rows_stays_and_says_why(network: Path, tmp_path: Path) -> None:
    options = rtcompile.BuildOptions(quantize="int8", keep_slower=True, max_difference=1)
    result = rtcompile.build(network, options, output=tmp_path / "m.rtc")
    first, second = result.manifest["precision"]["layers"]
    assert (first["level"], second["level"]) == ("float32", "int8")
    assert "too small" in first["reason"]
    data = tmp_path / "rows.npz"
    np.savez(data, x0=np.random.default_rng(1).normal(size=(64, 16)).astype(np.float32))
    calibrated = rtcompile.BuildOptions(
        quantize="int8", keep_slower=True, calibration=data, max_difference=1
    )
    result = rtcompile.build(network, calibrated, output=tmp_path / "m.rtc")
    assert [layer["level"] for layer in result.manifest["precision"]["layers"]] == ["int8"] * 2


@pytest.mark.slow
def test_a_build_is_timed_unless_it_is_told_not_to(network: Path, tmp_path: Path) -> None:
    said: list[str] = []
    options = rtcompile.BuildOptions(quantize="int8", max_difference=1)
    result = rtcompile.build(network, options, output=tmp_path / "m.rtc", progress=said.append)
    assert "time it beside float32" in said
    for layer in result.manifest["precision"]["layers"]:
        assert layer["level"] == "int8" or layer["reason"]
