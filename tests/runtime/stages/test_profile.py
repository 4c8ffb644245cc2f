"""A profiled artifact counts each kernel; one without has nothing to tell."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import tvm

import rtcompile
from rtcompile import BuildOptions, runtime
from rtcompile.codegen.entry.profile_probes import COUNTER, add_probes, counter_function
from rtcompile.codegen.program.program import StageProgram
from rtcompile.errors import ConfigError, UnsupportedError
from rtcompile.runtime.stages.profile import nanoseconds_a_tick
from rtcompile.targets import TARGETS
from tests.onnx_models import two_input_model
from tests.ranking_model import USER, items, ranking_model
from tests.runtime.sharing import share_from


def _given(rows: int) -> dict[str, np.ndarray]:
    return {"X": np.ones((rows, 5), np.float32), "ids": np.zeros(rows, np.int64)}


def test_a_graph(tmp_path: Path) -> None:
    model = two_input_model(tmp_path / "m.onnx")
    rtcompile.build(model, BuildOptions(profile=True), output=tmp_path / "p.rtc")
    rtcompile.build(model, output=tmp_path / "m.rtc")
    ranker, plain = runtime.load(tmp_path / "p.rtc"), runtime.load(tmp_path / "m.rtc")
    ranker.predict(_given(3))
    ranker.profile()
    np.testing.assert_array_equal(ranker.predict(_given(130))["Y"], plain.predict(_given(130))["Y"])
    profile = ranker.profile()
    assert {one.stage for one in profile.kernels} == {"cross"}
    (lookup,) = [one for one in profile.kernels if one.kernel.startswith("embedding_lookup")]
    assert lookup.calls == 3  # tiles
    assert all(one.nanoseconds > 0 for one in profile.kernels)
    assert ranker.profile().kernels == ()
    with pytest.raises(runtime.RequestError, match="built without profile"):
        plain.profile()


def test_all_threads_that_share_a_request_count(tmp_path: Path) -> None:
    model = two_input_model(tmp_path / "m.onnx")
    rtcompile.build(model, BuildOptions(profile=True), output=tmp_path / "p.rtc")
    for threads in (2, 3):
        ranker = runtime.load(tmp_path / "p.rtc", threads=threads)
        share_from(ranker, 1)
        for rows in (1, 16, 17, 64, 65, 100, 127, 128, 129, 150, 640, 1000):
            ranker.predict(_given(rows))
            calls = {one.calls for one in ranker.profile().kernels}
            assert calls == {_tiles(rows, threads if rows > 16 else 1)}


def test_helpers_work(tmp_path: Path) -> None:
    model = two_input_model(tmp_path / "m.onnx")
    rtcompile.build(model, BuildOptions(profile=True), output=tmp_path / "p.rtc")
    ranker = runtime.load(tmp_path / "p.rtc", threads=3)
    share_from(ranker, 1)
    given, ends = _given(20_000), time.monotonic() + 60
    words = [one.status for one in ranker._stage._of_workers]
    assert len(words) == 2 and not any(one.any() for one in words)
    while not all(one.any() for one in words):  # each, once it wakes in time
        ranker.predict(given)
        assert time.monotonic() < ends


def _tiles(rows: int, threads: int) -> int:
    """The fewest with which no thread has over an eighth more than its share, if each takes one in
    turn; those of 16 rows where there are none."""
    for tile in (64, 48, 32, 16):
        sizes = [min(tile, rows - begin) for begin in range(0, rows, tile)]
        most = max(sum(sizes[which::threads]) for which in range(threads))
        if threads == 1 or most * threads * 8 <= rows * 9 or tile == 16:
            return len(sizes)
    raise AssertionError


@pytest.mark.slow
def test_a_ranking_by_stage(tmp_path: Path) -> None:
    model = ranking_model(tmp_path)
    options = BuildOptions(features=model.features, embeddings=model.embeddings, profile=True)
    rtcompile.build(model.onnx, options, output=tmp_path / "p.rtc")
    ranker = runtime.load(tmp_path / "p.rtc")
    ranker.items.upsert(items(5))
    assert {one.stage for one in ranker.profile().kernels} >= {"item"}
    ids = ranker.items.ids()
    ranker.rank(USER, ids, {"position": [0] * len(ids)})
    profile = ranker.profile()
    assert {"user", "context", "cross"} <= {one.stage for one in profile.kernels}
    assert "item" not in {one.stage for one in profile.kernels}
    assert profile.encoding["user"] > 0
    assert profile.encoding["context"] > 0
    assert profile.encoding["item"] == 0


def test_the_length_of_a_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000

    def counter(tensor: object) -> None:
        np.from_dlpack(tensor)[0] = now * 2  # type: ignore[arg-type, call-overload]

    def sleep(seconds: float) -> None:
        nonlocal now
        now += int(seconds * 1e9)

    monkeypatch.setattr("time.perf_counter_ns", lambda: now)
    monkeypatch.setattr("time.sleep", sleep)
    assert nanoseconds_a_tick(counter) == 0.5


@pytest.mark.parametrize(
    ("target", "instruction"), [("x86-64-v2", "rdtsc"), ("aarch64-generic", "CNTVCT_EL0")]
)
def test_the_counter_of_a_machine(target: str, instruction: str) -> None:
    program = StageProgram("cross", (), ())
    add_probes(program, TARGETS[target].machine)
    counter = counter_function(program.counter)
    module = tvm.IRModule({tvm.ir.GlobalVar(COUNTER): counter})
    compiled = tvm.compile(module, target=TARGETS[target].tvm_target())
    assert instruction in compiled.mod.inspect_source("asm")


def test_a_machine_without_a_known_counter() -> None:
    with pytest.raises(UnsupportedError, match="no counter is known for riscv64"):
        add_probes(StageProgram("cross", (), ()), "riscv64")


def test_what_is_no_part_of_the_compiler() -> None:
    with pytest.raises(ConfigError, match="known are staging, trimming, fusion"):
        BuildOptions(without=("tuning",))
