"""A request that threads share gives what one thread gives."""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rtcompile
from rtcompile import runtime
from rtcompile.runtime.abi.worker_pool import TRIALS, Pool, State, Worker
from tests.onnx_models import TABLE_ROWS, two_input_model
from tests.runtime.sharing import pool_of, share_from, trial_of


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
        assert pool_of(ranker)[Pool.NEXT] > 0 or rows <= 16
        assert pool_of(ranker)[Pool.TAKEN] == 0


def test_what_requests_take_is_found_out(artifact: Path) -> None:
    ranker = runtime.load(artifact, threads=2)
    team, looks, taken = pool_of(ranker), 0, 0

    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.POINTER(ctypes.c_int64))
    def clock(which: int, time: Any) -> int:
        nonlocal looks
        time[0], time[1] = divmod(5_999_950_000 + (taken if looks % 2 else 0), 10**9)
        looks += 1
        return int(which != 1)

    team[Pool.CLOCK] = ctypes.cast(clock, ctypes.c_void_p).value
    assert team[Pool.LIMIT] == 100_000
    for rows, nanoseconds in ((300, 100_000), (600, 100_001)):
        taken = nanoseconds
        for calls in range(TRIALS):
            assert list(trial_of(ranker, rows)) == [calls, calls if rows == 600 else 0]
            ranker.predict(_given(rows))
    assert looks == 4 * TRIALS
    ranker.predict(_given(511))
    assert team[Pool.NEXT] == 0
    ranker.predict(_given(512))
    assert team[Pool.NEXT] >= 8
    assert looks == 4 * TRIALS
    ranker.predict(_given(16))  # never
    assert looks == 4 * TRIALS


def test_half_of_the_requests_are_long(artifact: Path) -> None:
    ranker = runtime.load(artifact, threads=2)
    for long, is_shared in ((TRIALS // 2, False), (TRIALS // 2 + 1, True)):
        trial_of(ranker, 600)[:] = TRIALS, long
        ranker.predict(_given(600))
        assert (pool_of(ranker)[Pool.NEXT] > 0) == is_shared


def test_a_helper_that_began_is_waited_for(artifact: Path) -> None:
    ranker, given, order = _sharing(artifact, 2), _given(500), list[str]()
    want, team = ranker.predict(given)["Y"], pool_of(ranker)
    ends = threading.Event()

    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
    def post(semaphore: int) -> int:
        """In the place of C's: the helper is said to begin, and to end later."""
        helper = semaphore - Worker.SEMAPHORE.byte
        state = ctypes.c_int64.from_address(helper + Worker.STATE.byte)
        assert state.value == State.GIVEN
        state.value = State.BEGUN

        def end() -> None:
            time.sleep(0.2)  # in which a caller that does not wait has come back
            order.append("helper")
            state.value = State.NOTHING
            ends.set()

        threading.Thread(target=end).start()
        return 0

    usual = int(team[Pool.POST])
    team[Pool.POST] = ctypes.cast(post, ctypes.c_void_p).value
    np.testing.assert_array_equal(ranker.predict(given)["Y"], want)
    order.append("caller")
    team[Pool.POST] = usual
    assert ends.wait(60) and order == ["helper", "caller"]
    np.testing.assert_array_equal(ranker.predict(given)["Y"], want)


def test_requests_at_the_same_time(artifact: Path) -> None:
    ranker, alone = _sharing(artifact, 3), runtime.load(artifact)

    def ask(which: int) -> int:
        for count in range(150):
            given = _given(20 + (37 * which + 61 * count) % 500, which)
            np.testing.assert_array_equal(ranker.predict(given)["Y"], alone.predict(given)["Y"])
        return which

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, range(4))) == [0, 1, 2, 3]
    assert pool_of(ranker)[Pool.TAKEN] == 0


def test_a_request_beside_one_that_has_the_helpers(artifact: Path) -> None:
    ranker, given = _sharing(artifact, 2), _given(500)
    want = ranker.predict(given)["Y"]
    words = pool_of(ranker)
    words[Pool.TAKEN], words[Pool.NEXT] = 1, 7
    np.testing.assert_array_equal(ranker.predict(given)["Y"], want)
    assert (words[Pool.TAKEN], words[Pool.NEXT]) == (1, 7)  # it let them be


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


def _threads() -> set[Path]:
    """Of this process, Python's and others."""
    return set(Path("/proc/self/task").iterdir())


def test_helpers_end_with_their_ranker(artifact: Path) -> None:
    gc.collect()
    before = _threads()
    ranker = _sharing(artifact, 4)
    ranker.predict(_given(1000))
    assert len(_threads() - before) == 3
    del ranker
    gc.collect()
    assert _threads() == before


def test_a_forked_process_has_helpers_of_its_own(artifact: Path) -> None:
    ranker, given = _sharing(artifact, 2), _given(1000)
    want = ranker.predict(given)["Y"]
    pool_of(ranker)[[Pool.TAKEN, Pool.WORKERS.of(Worker.STATE)]] = (
        1,
        State.BEGUN,
    )  # of another thread
    child = os.fork()
    if child == 0:
        outcome = 1
        try:
            found = [ranker.predict(given)["Y"] for _ in range(50)]
            outcome = 0 if all(np.array_equal(one, want) for one in found) else 2
            outcome += 4 * (len(_threads()) != 2) + 8 * (pool_of(ranker)[Pool.COUNT] != 1)
            del ranker
            gc.collect()
            outcome += 16 * (len(_threads()) != 1)
        finally:
            os._exit(outcome)
    pool_of(ranker)[[Pool.TAKEN, Pool.WORKERS.of(Worker.STATE)]] = 0, State.NOTHING
    ends = time.monotonic() + 60
    while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0):
        if time.monotonic() > ends:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.01)
    assert os.waitstatus_to_exitcode(ended[1]) == 0
    np.testing.assert_array_equal(ranker.predict(given)["Y"], want)


_LAST_REQUEST = """
import sys
import numpy as np
from rtcompile import runtime
from tests.runtime.sharing import share_from

def main():
    ranker = runtime.load(sys.argv[1], threads=3)
    share_from(ranker, 1)
    ranker.predict({"X": np.ones((1000, 5), np.float32), "ids": np.zeros(1000, np.int64)})
    return ranker

kept = main() if sys.argv[2] == "kept" else None
main()
"""


@pytest.mark.parametrize("kept", ["kept", "dropped"])
def test_the_process_ends(artifact: Path, kept: str) -> None:
    command = [sys.executable, "-c", _LAST_REQUEST, str(artifact), kept]
    for _ in range(4):
        subprocess.run(command, check=True, timeout=60)


def test_no_signal_ends_up_in_a_helper(artifact: Path) -> None:
    before = _threads()
    ranker = _sharing(artifact, 2)
    (helper,) = _threads() - before
    status = (helper / "status").read_text()
    (blocked,) = [line.split()[1] for line in status.splitlines() if line.startswith("SigBlk")]
    assert int(blocked, 16) >> (signal.SIGINT - 1) & 1
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    assert ranker.predict(_given(20))["Y"].shape[0] == 20


def test_threads_that_cannot_be_started(artifact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = _threads()
    libc = ctypes.CDLL(None)
    left = [2]

    def create(*given: Any) -> int:
        left[0] -= 1
        return int(libc.pthread_create(*given)) if left[0] > 0 else 11

    monkeypatch.setattr("rtcompile.runtime.process.worker_pool._C", _Without(libc, create))
    with pytest.raises(runtime.RequestError, match="threads=4: a thread could not be started"):
        runtime.load(artifact, threads=4)
    gc.collect()
    assert _threads() == before


class _Without:
    """C's functions, with another `pthread_create`."""

    def __init__(self, libc: ctypes.CDLL, create: Callable[..., int]) -> None:
        self._libc, self.pthread_create = libc, create

    def __getattr__(self, name: str) -> Any:
        return getattr(self._libc, name)


@pytest.mark.parametrize("threads", [0, -1, "2", None])
def test_bad_counts(artifact: Path, threads: object) -> None:
    with pytest.raises(runtime.RequestError, match="a count from 1 on is needed"):
        runtime.load(artifact, threads=threads)  # type: ignore[arg-type]
