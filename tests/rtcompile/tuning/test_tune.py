"""`rtcompile tune` and builds with its logs, on a small model; no time decides anything."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from onnx import TensorProto, helper

from rtcompile import BuildOptions, build, runtime
from rtcompile.cli import main
from rtcompile.codegen.program.tile_rows import TILE_SIZES
from rtcompile.codegen.program.trials import Outcome, Task, Trial
from rtcompile.errors import TuningError
from rtcompile.targets import resolve_target
from rtcompile.tuning.tiles import is_tile
from rtcompile.tuning.tune import TuneOptions, model_tasks
from rtcompile.tuning.tuned.kernels import KERNELS
from rtcompile.tuning.tuned.logs import append, read_logs
from rtcompile.tuning.tuned.records import Provenance, Record
from tests.onnx_models import save, two_input_model
from tests.rtcompile.tuning.records import HERE

pytest.importorskip("xgboost")
_HOST = resolve_target("host")


def _run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def _tune(model: Path, logs: Path, trials: int) -> tuple[object, ...]:
    return ("tune", model, "--trials", trials, "--tuning-logs", logs)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return two_input_model(tmp_path_factory.mktemp("tune") / "model.onnx")


@pytest.fixture(scope="module")
def tasks(model: Path) -> dict[Task, int]:
    """Of kernels."""
    found = model_tasks(model, TuneOptions(model.parent))
    assert sum(map(is_tile, found)) == 1
    return {task: calls for task, calls in found.items() if not is_tile(task)}


def _kernel_records(logs: Path) -> list[Record]:
    return [r for r in read_logs(logs, _HOST.name).records if not is_tile(r.trial.task)]


@pytest.mark.slow
def test_a_second_run_spends_nothing(model: Path, tasks: dict[Task, int], tmp_path: Path) -> None:
    trials = len(tasks) + 3
    first = _run(*_tune(model, tmp_path, trials))
    assert first.exit_code == 0, first.output
    assert len(_kernel_records(tmp_path)) == trials
    records = read_logs(tmp_path, _HOST.name).records
    tiles = {r.trial.values["rows"] for r in records if is_tile(r.trial.task)}
    assert tiles == set(TILE_SIZES)
    assert "95 % of the gain" in first.output
    assert not any(one.outcome.error for one in records)
    for task in tasks:
        default = KERNELS[task.kernel].configs(task, _HOST.registers)[0]
        assert Trial.of(task, default) in {one.trial for one in records}
    second = _run(*_tune(model, tmp_path, trials))
    assert second.exit_code == 0, second.output
    assert "0 trials spent" in " ".join(second.output.split())
    assert read_logs(tmp_path, _HOST.name).records == records
    result = build(model, BuildOptions(tuning_logs=tmp_path), output=tmp_path / "m.rtc")
    tuning = result.manifest["tuning"]
    assert tuning["tuned"] + tuning["reused"] == len(tasks) + 1


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_ends_at_half_goes_on(model: Path, tmp_path: Path, how: signal.Signals) -> None:
    trials = 10
    command = [sys.executable, "-m", "rtcompile", *map(str, _tune(model, tmp_path, trials))]
    said = tmp_path / "said"  # a pipe that nobody reads would stop it once it is full
    with said.open("wb") as file:
        running = subprocess.Popen(command, stderr=file)
    while len(read_logs(tmp_path, _HOST.name).records) < trials // 2:
        assert running.poll() is None, said.read_text()
        time.sleep(0.02)
    running.send_signal(how)
    assert running.wait(300) == (-how if how is signal.SIGKILL else 130), said.read_text()
    half = read_logs(tmp_path, _HOST.name).records
    assert trials // 2 <= len(half) < trials
    assert _run(*_tune(model, tmp_path, trials)).exit_code == 0
    logs = read_logs(tmp_path, _HOST.name)
    assert not logs.notes()
    assert set(half) < set(logs.records)
    assert len(_kernel_records(tmp_path)) == trials


def _plant(directory: Path, task: Task, config: Any) -> None:
    outcome = Outcome(0.5, "", 1.0)
    append(directory, _HOST.name, Record(Trial.of(task, config), outcome, Provenance(**vars(HERE))))


def test_a_build_takes_the_configs_of_the_logs(
    model: Path, tasks: dict[Task, int], tmp_path: Path
) -> None:
    chosen = {}
    for task in tasks:
        configs = KERNELS[task.kernel].configs(task, _HOST.registers)
        chosen[task] = configs[-1]
        _plant(tmp_path, task, configs[-1])
    with (tmp_path / _HOST.name / "dense.jsonl").open("a") as file:
        file.write("nonsense\n")
    output = tmp_path / "tuned.rtc"
    result = _run("build", model, "--tuning-logs", tmp_path, "-o", output)
    assert result.exit_code == 0, result.output
    told = " ".join(result.output.split())
    assert f"{len(tasks)} tuned, 0 reused, 1 defaulted" in told
    assert "dense.jsonl, line" in told
    tuning = json.loads(_run("inspect", output, "--json").stdout)["tuning"]
    assert {
        Task.of(k["kernel"], KERNELS[k["kernel"]].version, k["parameters"]): k["config"]
        for k in tuning["kernels"]
        if k["kernel"] != "stage_tile"
    } == chosen
    assert "tuned" in _run("inspect", output).stdout
    plain = tmp_path / "plain.rtc"
    empty = tmp_path / "empty"
    empty.mkdir()
    built = build(model, BuildOptions(tuning_logs=empty), output=plain)
    assert built.manifest["tuning"]["defaulted"] == len(tasks) + 1
    assert _scores(output) == pytest.approx(_scores(plain), abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("rows", TILE_SIZES)
def test_a_build_takes_the_rows_of_a_tile(model: Path, tmp_path: Path, rows: int) -> None:
    (tile,) = filter(is_tile, model_tasks(model, TuneOptions(tmp_path)))
    _plant(tmp_path, tile, {"rows": rows})
    output = tmp_path / "tuned.rtc"
    built = build(model, BuildOptions(tuning_logs=tmp_path), output=output)
    assert built.manifest["stages"]["cross"]["tile_rows"] == rows


def _scores(path: Path) -> Any:
    rng = np.random.default_rng(3)
    x, ids = rng.normal(size=(70, 5)).astype(np.float32), rng.integers(0, 10, 70)
    return np.ravel(runtime.load(path).predict({"X": x, "ids": ids})["Y"])


def test_lower_precision_has_tasks_of_its_own(tmp_path: Path) -> None:
    if not _HOST.registers.int8:
        pytest.skip("the host has no instruction for int8")
    weights = np.random.default_rng(0).normal(size=(2, 64, 64)).astype(np.float32)
    wide = save(
        tmp_path / "wide.onnx",
        [
            helper.make_node("MatMul", ["X", "w0"], ["a"]),
            helper.make_node("Relu", ["a"], ["b"]),
            helper.make_node("MatMul", ["b", "w1"], ["Y"]),
        ],
        {"w0": weights[0], "w1": weights[1]},
        {"X": (TensorProto.FLOAT, ["n", 64])},
        {"Y": (TensorProto.FLOAT, ["n", 64])},
    )
    plain = model_tasks(wide, TuneOptions(tmp_path))
    more = model_tasks(wide, TuneOptions(tmp_path, quantize="int8"))
    assert more.items() > plain.items()
    forms = {(t.kernel, t.values.get("dynamic"), t.values.get("output")) for t in more}
    assert {("dense_int8", 1, "float32"), ("dense_int8", 0, "uint8")} <= forms


def test_errors(model: Path, tmp_path: Path) -> None:
    with pytest.raises(TuningError, match="no such folder of tuning logs"):
        build(model, BuildOptions(tuning_logs=tmp_path / "no"), output=tmp_path / "m.rtc")
    for more, code, message in (
        (["--tracker", "127.0.0.1:1"], 75, "a tracker needs a key"),
        (["--target", "aarch64-neoverse-n1"], 11, "this machine cannot run aarch64-neoverse-n1"),
        (["--trials", "0"], 2, "--trials"),
    ):
        result = _run("tune", model, "--tuning-logs", tmp_path, *more)
        assert result.exit_code == code, result.output
        assert message in result.stderr
