"""One artifact for several targets: each module gives the original's scores where it is loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import rtcompile.runtime.machine
from rtcompile import BuildOptions, build, runtime
from rtcompile.cli import main
from rtcompile.errors import UnsupportedError
from rtcompile.targets import TARGETS, resolve_targets, runs_here
from tests.onnx_models import two_input_model

_HERE = [name for name, target in TARGETS.items() if runs_here(target)]


def _scores(path: Path) -> tuple[str, Any]:
    rng = np.random.default_rng(3)
    x, ids = rng.normal(size=(70, 5)).astype(np.float32), rng.integers(0, 10, 70)
    ranker = runtime.load(path)
    scores = np.ravel(ranker.predict({"X": x, "ids": ids})["Y"])
    return str(ranker.manifest["target"]["name"]), scores


@pytest.mark.slow
def test_each_machine_loads_its_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if len(_HERE) < 2:
        pytest.skip("this machine can run one target only")
    model = two_input_model(tmp_path / "model.onnx")
    several, alone = tmp_path / "several.rtc", tmp_path / "alone.rtc"
    result = build(model, BuildOptions(target=tuple(reversed(_HERE))), output=several)
    assert result.targets == tuple(_HERE)
    assert result.verification and result.verification.rows
    build(model, BuildOptions(target=_HERE[0]), output=alone)
    name, expected = _scores(several)
    assert name == _HERE[-1]
    monkeypatch.setattr(
        rtcompile.runtime.machine, "_cpu_flags", lambda: {*TARGETS[_HERE[0]].features}
    )
    name, scores = _scores(several)
    assert name == _HERE[0]
    np.testing.assert_allclose(scores, expected, atol=1e-5)
    np.testing.assert_array_equal(scores, _scores(alone)[1])
    monkeypatch.setattr(rtcompile.runtime.machine, "_cpu_flags", set)
    with pytest.raises(runtime.TargetError, match="none of its targets"):
        runtime.load(several)


@pytest.mark.slow
def test_inspect_names_all_targets(tmp_path: Path) -> None:
    model, path = two_input_model(tmp_path / "model.onnx"), tmp_path / "m.rtc"
    command = ["build", str(model), "-o", str(path), "--no-verify"]
    result = CliRunner().invoke(main, [*command, "--target", "x86-64-v3", "--target", "x86-64-v2"])
    assert result.exit_code == 0, result.output
    assert "x86-64-v2, x86-64-v3" in " ".join(result.output.split())
    shown = json.loads(CliRunner().invoke(main, ["inspect", str(path), "--json"]).stdout)
    assert shown["targets"] == ["x86-64-v2", "x86-64-v3"]


def test_targets_are_ordered_and_named_once() -> None:
    names = [target.name for target in resolve_targets(["x86-64-v4", "x86-64-v2", "x86-64-v4"])]
    assert names == ["x86-64-v2", "x86-64-v4"]
    with pytest.raises(UnsupportedError, match="no target"):
        resolve_targets(())
