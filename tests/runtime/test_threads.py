"""A request that threads share gives what one thread gives."""

from __future__ import annotations

import gc
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import rtcompile
import runtime
from runtime.brief_calls import LEAST_LONG, MOST
from runtime.team_plan import Team
from tests.onnx_models import TABLE_ROWS, two_input_model
from tests.runtime.sharing import share_from


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("threads")
    rtcompile.build(two_input_model(folder / "m.onnx"), output=folder / "m.rtc")
    return folder / "m.rtc"


def _sharing(artifact: Path, threads: int) -> runtime.Ranker:
    ranker = runtime.load(artifact, threads=threads)
    share_from(ranker, 1)
    return ranker


def _given(rows: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(rows + seed)
    return {
        "X": rng.normal(size=(rows, 5)).astype(np.float32),
        "ids": rng.integers(0, TABLE_ROWS, rows),
    }


def _words(ranker: runtime.Ranker) -> np.ndarray:
    assert ranker._stage.helpers is not None
    return ranker._stage.helpers._team


@pytest.mark.parametrize("rows", [0, 1, 16, 17, 100, 127, 128, 129, 256, 1000])
def test_threads_change_nothing(artifact: Path, rows: int) -> None:
    given = _given(rows)
    want = runtime.load(artifact).predict(given)["Y"]
    for threads in (2, 3, 5):
        untried = runtime.load(artifact, threads=threads)
        np.testing.assert_array_equal(untried.predict(given)["Y"], want)
        ranker = _sharing(artifact, threads)
        for _ in range(20):
            np.testing.assert_array_equal(ranker.predict(given)["Y"], want)
        assert _words(ranker)[Team.NEXT] > 0 or rows <= 16
        assert _words(ranker)[Team.TAKEN] == 0


def test_what_requests_take_is_found_out(artifact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ranker = runtime.load(artifact, threads=2)
    helpers = ranker._stage.helpers
    assert helpers is not None
    now = 0

    def clock() -> int:
        nonlocal now
        now += 100_000 if rows < 512 else 100_001
        return now

    monkeypatch.setattr("runtime.stage.perf_counter_ns", clock)
    for rows in (300, 600):
        for _ in range(16):
            assert helpers.alone.is_untried(rows)
            ranker.predict(_given(rows))
        assert not helpers.alone.is_untried(rows)
    assert _words(ranker)[Team.NEXT] == 0  # none was shared
    assert (helpers.alone.words[MOST], helpers.alone.words[LEAST_LONG]) == (511, 512)
    ranker.predict(_given(511))
    assert _words(ranker)[Team.NEXT] == 0
    ranker.predict(_given(512))
    assert _words(ranker)[Team.NEXT] >= 8


def test_requests_at_the_same_time(artifact: Path) -> None:
    ranker, alone = _sharing(artifact, 3), runtime.load(artifact)

    def ask(which: int) -> int:
        for count in range(150):
            given = _given(20 + (37 * which + 61 * count) % 500, which)
            np.testing.assert_array_equal(ranker.predict(given)["Y"], alone.predict(given)["Y"])
        return which

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, range(4))) == [0, 1, 2, 3]
    assert _words(ranker)[Team.TAKEN] == 0


def test_a_request_beside_one_that_has_the_helpers(artifact: Path) -> None:
    ranker, given = _sharing(artifact, 2), _given(500)
    want = ranker.predict(given)["Y"]
    words = _words(ranker)
    words[Team.TAKEN], words[Team.NEXT] = 1, 7
    np.testing.assert_array_equal(ranker.predict(given)["Y"], want)
    assert (words[Team.TAKEN], words[Team.NEXT]) == (1, 7)  # it let them be


@pytest.mark.parametrize("row", [0, 500, 999])
def test_an_error_in_any_thread_is_raised(artifact: Path, row: int) -> None:
    ranker, given = _sharing(artifact, 3), _given(1000)
    want = ranker.predict(given)["Y"]
    for _ in range(20):
        wrong = given["ids"].copy()
        wrong[row] = TABLE_ROWS + 5
        with pytest.raises(runtime.UnknownIdError, match="id 15 is outside"):
            ranker.predict({**given, "ids": wrong})
        np.testing.assert_array_equal(ranker.predict(given)["Y"], want)


def _helpers() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("rtcompile-")}


def test_helpers_end_with_their_ranker(artifact: Path) -> None:
    gc.collect()
    before = _helpers()
    ranker = _sharing(artifact, 4)
    ranker.predict(_given(1000))
    made = _helpers() - before
    assert len(made) == 3
    del ranker
    gc.collect()
    for thread in made:
        thread.join(timeout=30)
        assert not thread.is_alive()


def test_a_forked_process_works_alone(artifact: Path) -> None:
    ranker, given = _sharing(artifact, 2), _given(1000)
    want = ranker.predict(given)["Y"]
    child = os.fork()
    if child == 0:
        same = np.array_equal(ranker.predict(given)["Y"], want)
        os._exit(0 if same and _words(ranker)[Team.HELPERS] == 0 else 1)
    deadline = time.monotonic() + 60
    while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert ended[0] == child and os.waitstatus_to_exitcode(ended[1]) == 0
    np.testing.assert_array_equal(ranker.predict(given)["Y"], want)


@pytest.mark.parametrize("threads", [0, -1, "2", None])
def test_bad_counts(artifact: Path, threads: object) -> None:
    with pytest.raises(runtime.RequestError, match="a count from 1 on is needed"):
        runtime.load(artifact, threads=threads)  # type: ignore[arg-type]
