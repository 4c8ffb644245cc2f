"""A subject beside itself: profiled, without a part of the compiler, from several threads."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from rtcompile import runtime
from rtcompile.bench import ablation, profile, threads
from rtcompile.bench.ablation import PARTS, ablate
from rtcompile.bench.profile import profile_subject
from rtcompile.bench.subjects import Subject, subjects
from rtcompile.bench.threads import measure_threads, requests_per_second
from rtcompile.bench.tuned import compare_tuned
from rtcompile.bench.uncached_items import without_item_cache
from rtcompile.cli import main
from rtcompile.codegen.program.trials import Outcome, Trial
from rtcompile.errors import DataError, VerificationError
from rtcompile.models.workloads.scale import SMALL
from rtcompile.targets import resolve_target
from rtcompile.tuning.named import named_model
from rtcompile.tuning.tune import TuneOptions, model_tasks
from rtcompile.tuning.tuned.kernels import KERNELS
from rtcompile.tuning.tuned.logs import append
from rtcompile.tuning.tuned.records import Record
from tests.onnx_models import two_input_model
from tests.rtcompile.tuning.records import HERE


def _bench(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["bench", *map(str, arguments)])


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here depends on how long is measured."""
    monkeypatch.setattr(profile, "_SECONDS", 0.01)
    monkeypatch.setattr(threads, "_SECONDS", 0.01)
    monkeypatch.setattr(threads, "_ROUNDS", 2)


def _subject(name: str, folder: Path) -> Subject:
    (found,) = subjects(name, (), folder, lambda step: None, SMALL)
    return found


@pytest.mark.slow
def test_tuned_kernels_beside_default_ones(tmp_path: Path) -> None:
    model, logs = two_input_model(tmp_path / "model.onnx"), tmp_path / "logs"
    for task in model_tasks(model, TuneOptions(logs)):
        space = KERNELS[task.kernel].configs(task, resolve_target("host").registers)
        record = Record(Trial.of(task, space[-1]), Outcome(0.5, "", 1.0), HERE)
        append(logs, resolve_target("host").name, record)
    subject = _subject(str(model), tmp_path)
    one, more = compare_tuned(subject, logs, "host", (1, 70), tmp_path, lambda step: None)
    assert (one.rows, more.rows) == (1, 70)
    assert one.default > 0 and one.tuned > 0
    tuned, reused, defaulted = one.kernels
    assert tuned + reused > 0 and defaulted == 0
    figures = tmp_path / "figures.json"
    both = f"{model},{model}"
    result = _bench(both, "--tuning-logs", logs, "--rows", "7", "--json", figures)
    assert result.exit_code == 0, result.output
    assert [found["rows"] for found in json.loads(figures.read_text())] == [7, 7]
    assert _bench(model, "--target", "x86-64-v3").exit_code != 0


@pytest.mark.slow
def test_a_model_is_tuned_by_its_name(tmp_path: Path) -> None:
    options = TuneOptions(tmp_path)
    with named_model("movielens-din", None, options) as (path, filled):
        assert path.is_file() and filled.features and filled.features.is_file()
    model = two_input_model(tmp_path / "model.onnx")
    with named_model(str(model), None, options) as (path, filled):
        assert (path, filled) == (model, options)
    with pytest.raises(DataError, match="--models"), named_model(str(model), "DeepFM", options):
        pass


@pytest.fixture(scope="module")
def din(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Subject, Path]]:
    folder = tmp_path_factory.mktemp("din")
    yield _subject("din", folder), folder


@pytest.mark.slow
def test_the_stages_of_a_profile(din: tuple[Subject, Path]) -> None:
    subject, folder = din
    one, several = profile_subject(subject, (1, 70), folder, lambda step: None)
    assert (one.rows, several.rows) == (1, 70)
    assert {"encoding", "user features", "user network", "cross network", "look-ups"} <= set(
        several.stages
    )
    assert sum(several.stages.values()) == pytest.approx(several.microseconds)
    dense = {k.kernel: k.calls for k in one.kernels if k.stage == "cross"}
    for kernel in several.kernels:
        if kernel.stage == "cross" and kernel.kernel.startswith("dense"):
            assert kernel.calls == 2 * dense[kernel.kernel]  # tiles


@pytest.mark.slow
def test_every_part_can_be_turned_off(din: tuple[Subject, Path]) -> None:
    subject, folder = din
    steps: list[str] = []
    (found,) = ablate(subject, PARTS, (70,), folder, steps.append)
    assert list(found.without) == ["staging", "trimming", "fusion", "item-cache", "all of them"]
    whole = runtime.load(folder / "din..rtc").manifest["stages"]
    assert {"user_network", "item_network"} <= set(whole)
    unstaged = runtime.load(folder / "din.staging.rtc").manifest["stages"]
    assert not {"user_network", "item_network"} & set(unstaged)
    unfused = runtime.load(folder / "din.fusion.rtc").manifest["stages"]
    assert unfused["cross"]["calls"] > whole["cross"]["calls"]


def test_scores_that_differ_are_refused() -> None:
    given = {"": {"y": np.zeros(2)}, "fusion": {"y": np.array([0, 0.1])}}
    with pytest.raises(VerificationError, match="without fusion: 'y' is not what it was"):
        ablation._compare(given)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["din", "dlrm"])
def test_items_that_are_not_kept(name: str, tmp_path: Path) -> None:
    subject = _subject(name, tmp_path)
    path = subject.build(tmp_path / "m.rtc", lambda step: None, verify=False)
    kept, raw = subject.load(path), without_item_cache(subject.load(path))
    for call, other in zip(subject.calls(kept, 9), subject.calls(raw, 9), strict=True):
        want: Any = call()
        got: Any = other()
        for output in want:
            np.testing.assert_array_equal(got[output], want[output])


def test_threads_make_their_calls_in_turn() -> None:
    seen: dict[int, list[str]] = {}

    def call(name: str) -> None:
        seen.setdefault(threading.get_ident(), []).append(name)

    assert requests_per_second([[lambda n=n: call(n) for n in "abc"]] * 2, 0.01) > 0  # type: ignore[misc]
    # One that began late may have made a single call.
    begun = {"".join(names[:3]) for names in seen.values()}
    assert all("abc".startswith(names) or "bca".startswith(names) for names in begun)


def test_a_thread_that_begins_late_makes_a_call_all_the_same() -> None:
    assert requests_per_second([[lambda: time.sleep(1e-3)]] * 40, 0) >= 40


@pytest.mark.slow
def test_throughput(din: tuple[Subject, Path]) -> None:
    subject, folder = din
    (found,) = measure_threads(subject, 2, (300,), folder, lambda step: None)
    assert (found.rows, found.threads) == (300, 2)
    assert min(found.one, found.all, found.ratio, found.processes, found.shared) > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "shown"),
    [
        (["--profile"], "cross network"),
        (["--without", "fusion"], "fusion"),
        (["--threads", "2"], "2 threads"),
    ],
)
def test_the_command(options: list[str], shown: str, tmp_path: Path) -> None:
    model, figures = two_input_model(tmp_path / "m.onnx"), tmp_path / "f.json"
    result = _bench(model, "--rows", "3", *options, "--json", figures)
    assert result.exit_code == 0, result.stderr
    assert shown in result.stdout
    (figure,) = json.loads(figures.read_text())
    assert (figure["model"], figure["rows"]) == ("m", 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ep1", "--profile", "--threads", "2"], "--threads and --profile are measured one at a"),
        (["ep1", "--profile", "--against", "openvino"], "--profile and --against are"),
        (["features", "--profile"], "features: give a workload, an ONNX graph or zoo"),
        (["ep3", "--profile"], "did you mean 'ep2'?"),
        (
            ["ep1", "--without", "tiles"],
            "--without tiles: known are staging, trimming, fusion",
        ),
    ],
)
def test_what_cannot_be_measured(arguments: list[str], message: str) -> None:
    result = _bench(*arguments)
    assert result.exit_code == 30
    assert message in result.stderr


def test_a_graph_has_no_stages_to_turn_off(tmp_path: Path) -> None:
    result = _bench(two_input_model(tmp_path / "m.onnx"), "--without", "staging")
    assert result.exit_code == 30
    assert "m has no features, hence no stages" in result.stderr
