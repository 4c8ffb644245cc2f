"""Whole builds in lower precision: levels, budgets, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper

import rtcompile
from rtcompile import runtime
from rtcompile.cli import main
from rtcompile.driver import BuildResult
from rtcompile.errors import BudgetError, ConfigError, UnsupportedError
from rtcompile.targets import resolve_target
from tests.onnx_models import save
from tests.ranking_model import USER, items, small_ranking_model

needs_int8 = pytest.mark.usefixtures("int8")
needs_bf16 = pytest.mark.usefixtures("bf16")

WIDTH, ROWS = 48, 96


@pytest.fixture
def int8() -> None:
    """Skips where no instruction multiplies bytes."""
    if not resolve_target("host").registers.int8:
        pytest.skip("no instruction for int8 here")


@pytest.fixture
def bf16() -> None:
    """Skips where no instruction multiplies bfloat16."""
    if not resolve_target("host").registers.bf16:
        pytest.skip("no instruction for bf16 here")


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """x [n, 48] -> 64 -> 32 -> 1, ReLU between, sigmoid behind."""
    rng = np.random.default_rng(0)
    nodes, constants, given, width = [], {}, "x", WIDTH
    for layer, units in enumerate((64, 32, 1)):
        constants[f"w{layer}"] = rng.normal(size=(width, units)).astype(np.float32) / width**0.5
        constants[f"b{layer}"] = rng.normal(size=units).astype(np.float32) / 8
        nodes.append(helper.make_node("MatMul", [given, f"w{layer}"], [f"m{layer}"]))
        nodes.append(helper.make_node("Add", [f"m{layer}", f"b{layer}"], [f"a{layer}"]))
        kind = "Sigmoid" if units == 1 else "Relu"
        given = "y" if units == 1 else f"h{layer}"
        nodes.append(helper.make_node(kind, [f"a{layer}"], [given]))
        width = units
    path = tmp_path_factory.mktemp("network") / "model.onnx"
    floats = TensorProto.FLOAT
    return save(path, nodes, constants, {"x": (floats, ["n", WIDTH])}, {"y": (floats, ["n", 1])})


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows of the network, and a label that follows the first column."""
    x = np.random.default_rng(1).normal(size=(ROWS, WIDTH)).astype(np.float32)
    path = tmp_path_factory.mktemp("data") / "rows.npz"
    np.savez(path, x=x, clicked=(x[:, 0] > 0).astype(np.int64))
    return path


@pytest.fixture(scope="module")
def unlabelled(data: Path) -> Path:
    """The same rows without the label."""
    path = data.parent / "unlabelled.npz"
    np.savez(path, x=np.load(data)["x"])
    return path


def built(model: Path, folder: Path, **keys: Any) -> BuildResult:
    options = rtcompile.BuildOptions(**{"keep_slower": True, **keys})
    return rtcompile.build(model, options, output=folder / "model.rtc")


def levels(result: BuildResult) -> list[str]:
    return [layer["level"] for layer in result.manifest["precision"]["layers"]]


def exact(network: Path, folder: Path, x: Any) -> Any:
    built(network, folder)
    return runtime.load(folder / "model.rtc").predict({"x": x})["y"]


@pytest.mark.slow
@needs_int8
@pytest.mark.parametrize("method", ["minmax", "dynamic"])
def test_layers_compute_in_int8(network: Path, data: Path, tmp_path: Path, method: str) -> None:
    x = np.load(data)["x"]
    want = exact(network, tmp_path, x)
    keys = {"calibration": data, "label": "clicked", "calibration_method": method}
    result = built(network, tmp_path, quantize="int8", max_auc_drop=0.05, **keys)
    assert levels(result) == ["int8", "int8"]
    got = runtime.load(tmp_path / "model.rtc").predict({"x": x})["y"]
    quality = result.manifest["precision"]
    assert np.abs(got - want).max() == pytest.approx(quality["largest_difference"], rel=1e-3)
    assert 0 < quality["largest_difference"] < 0.02
    assert quality["auc_drop"] < 0.05
    applied = {p.name: p.applied for p in result.report.passes if p.stage == "cross"}
    assert applied["quantize_dense"] == 2
    assert applied["keep_lowered"] == (1 if method == "minmax" else 0)


@needs_bf16
def test_layers_compute_in_bf16(network: Path, tmp_path: Path) -> None:
    result = built(network, tmp_path, quantize="bf16")
    assert levels(result) == ["bf16", "bf16"]
    assert 0 < result.manifest["precision"]["largest_difference"] < 5e-3


@pytest.mark.slow
@needs_int8
def test_a_layer_that_costs_too_much_goes_up_and_says_why(
    network: Path, unlabelled: Path, tmp_path: Path
) -> None:
    cheap = built(network, tmp_path, quantize="int8", calibration=unlabelled)
    moved = cheap.manifest["precision"]["largest_difference"]
    keys = {"max_difference": 0.8 * moved, "max_mean_difference": 1.0}
    result = built(network, tmp_path, quantize="int8", calibration=unlabelled, **keys)
    assert levels(result) != ["int8", "int8"]
    reasons = [layer["reason"] for layer in result.manifest["precision"]["layers"]]
    assert any("of the budget" in reason for reason in reasons)
    assert result.manifest["precision"]["largest_difference"] <= 0.8 * moved


@pytest.mark.slow
@needs_int8
def test_tables_over_the_budget_fail_the_build(tmp_path: Path) -> None:
    model = small_ranking_model(tmp_path, "user_id", "tags", "item_id", "price")
    rows = tmp_path / "rows.jsonl"
    table = items(40)
    request = {
        "user": {name: USER[name] for name in ("user_id", "tags")},
        "items": [{name: table[name][row] for name in ("item_id", "price")} for row in range(40)],
    }
    rows.write_text(json.dumps(request) + "\n")
    keys = {
        "features": model.features,
        "embeddings": model.embeddings,
        "quantize": "int8",
        "table_dtypes": (("tag", "int4"),),
        "calibration": rows,
    }
    strict = {"max_difference": 1e-6, "max_mean_difference": 1e-6}
    with pytest.raises(BudgetError, match=r"over the budget.*allow-over-budget"):
        built(model.onnx, tmp_path, **keys, **strict)
    assert not (tmp_path / "model.rtc").exists()
    result = built(model.onnx, tmp_path, **keys, **strict, allow_over_budget=True)
    assert set(levels(result)) == {"float32"}
    assert result.manifest["precision"]["rows"] == 40


def test_a_target_without_the_instruction_is_refused(network: Path, tmp_path: Path) -> None:
    for quantize in ("int8", "bf16"):
        with pytest.raises(UnsupportedError, match="x86-64-v3 has no instruction"):
            built(network, tmp_path, quantize=quantize, target="x86-64-v3", verify=False)


@pytest.mark.slow
@needs_int8
def test_options_that_make_no_sense(network: Path, unlabelled: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="quantize 'int7': one of none, bf16, int8"):
        rtcompile.BuildOptions(quantize="int7")
    with pytest.raises(ConfigError, match="serves lower precision only"):
        built(network, tmp_path, calibration=unlabelled)
    with pytest.raises(ConfigError, match="label names a column"):
        built(network, tmp_path, quantize="int8", label="clicked")
    with pytest.raises(ConfigError, match="largest must be a number from 0 on"):
        built(network, tmp_path, quantize="int8", calibration=unlabelled, max_difference=-1.0)


@pytest.mark.slow
@needs_int8
def test_the_command_line_shows_levels_and_names_bad_data(
    network: Path, data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "model.rtc"
    given = ["build", str(network), "-o", str(out), "--quantize", "int8", "--keep-slower"]
    given += ["--calibration"]
    shown = CliRunner().invoke(main, [*given, str(data), "--label", "clicked", "--explain"])
    assert shown.exit_code == 61 or "in int8" in shown.output
    bad = tmp_path / "bad.npz"
    np.savez(bad, z=np.ones(40))
    refused = CliRunner().invoke(main, [*given, str(bad)])
    assert refused.exit_code == 30
    assert "'x' is missing; 'z' is no input of the graph" in refused.output
    assert "Traceback" not in refused.output
