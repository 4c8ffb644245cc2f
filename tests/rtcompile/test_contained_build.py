"""A build in a process of its own: the same artifact, the same errors, and a death that is told."""

from __future__ import annotations

import os
import pickle
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rtcompile
from rtcompile import contained_build, runtime
from rtcompile.contained_build import build_contained
from rtcompile.errors import ConfigError, ModelError, ToolchainError
from rtcompile.options import BuildOptions
from tests.onnx_models import two_input_model

pytestmark = pytest.mark.slow


def _build(folder: Path, progress: Any = lambda step: None, **options: Any) -> Any:
    model = two_input_model(folder / "m.onnx")
    return build_contained(model, BuildOptions(**options), folder / "m.rtc", progress)


def test_it_builds_what_the_process_itself_does(tmp_path: Path) -> None:
    steps: list[str] = []
    result = _build(tmp_path, steps.append)
    assert steps[-1] == "write the artifact"
    here = rtcompile.build(tmp_path / "m.onnx", output=tmp_path / "here.rtc")
    assert result.manifest["stages"] == here.manifest["stages"]
    assert result.verification is not None
    inputs = {"X": np.ones((3, 5), np.float32), "ids": np.array([1, 2, 3])}
    got, want = (runtime.load(tmp_path / n).predict(inputs)["Y"] for n in ("m.rtc", "here.rtc"))
    assert np.array_equal(got, want)


def test_errors_come_back_as_they_are(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such file"):
        build_contained(tmp_path / "none.onnx", BuildOptions(), tmp_path / "m.rtc", print)
    (tmp_path / "fg.json").write_text('{"features": [{}]}')
    with pytest.raises(ConfigError) as error:
        _build(tmp_path, features=str(tmp_path / "fg.json"))
    assert error.value.problems


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL])
def test_a_death_is_told_with_the_step_and_the_command(tmp_path: Path, number: int) -> None:
    def kill(step: str) -> None:
        if step == "generate code":
            os.kill(started[-1], number)

    started: list[int] = []
    before = contained_build._Worker.run

    def run(worker: Any, job: Any, progress: Any) -> Any:
        started.append(worker._process.pid)
        return before(worker, job, progress)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contained_build._Worker, "run", run)
        name = signal.Signals(number).name
        with pytest.raises(ToolchainError, match=f"died of {name} in the step") as error:
            _build(tmp_path, kill)
    assert f"rtcompile build {tmp_path / 'm.onnx'} -o" in str(error.value)
    assert not (tmp_path / "m.rtc").exists()
    assert not list(Path(tmp_path).glob(".m.rtc*"))
    assert _build(tmp_path).manifest  # by the next worker


def test_an_interrupt_ends_the_worker(tmp_path: Path) -> None:
    def interrupt(step: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _build(tmp_path, interrupt)
    assert not (tmp_path / "m.rtc").exists()
    assert _build(tmp_path).manifest


def test_all_errors_can_be_handed_over() -> None:
    error = ConfigError(["a", "b"], "fg.json")
    copied = pickle.loads(pickle.dumps(error))
    assert (str(copied), copied.problems) == (str(error), ("a", "b"))


def test_what_is_not_of_ours_becomes_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: object) -> None:
        raise MemoryError

    monkeypatch.setattr("rtcompile.driver._build", fail)
    with pytest.raises(ToolchainError, match="failed in the step 'start': MemoryError"):
        rtcompile.build(two_input_model(tmp_path / "m.onnx"), output=tmp_path / "m.rtc")
