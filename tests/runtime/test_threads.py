"""A request that spreads over threads gives what one thread gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rtcompile
import runtime
from runtime.helpers import Helpers, ranges
from tests.onnx_models import TABLE_ROWS, two_input_model


@given(
    rows=st.integers(1, 5000),
    threads=st.integers(1, 9),
    tile_rows=st.sampled_from([16, 32, 64]),
    least=st.integers(1, 6000),
)
def test_ranges_cover_every_row_once(rows: int, threads: int, tile_rows: int, least: int) -> None:
    found = ranges(rows, threads, tile_rows, least)
    assert [row for begin, end in found for row in range(begin, end)] == list(range(rows))
    assert len(found) <= threads
    assert all(begin % tile_rows == 0 for begin, _ in found)
    assert len(found) == 1 or min(end - begin for begin, end in found) > least - tile_rows


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("threads")
    rtcompile.build(two_input_model(folder / "m.onnx"), output=folder / "m.rtc")
    return folder / "m.rtc"


def _slow_rows(threads: int) -> Helpers:
    """Each row is worth a thread."""
    helpers = Helpers(threads)
    helpers.learn(1, 10**9)
    return helpers


def _spreading(artifact: Path, threads: int) -> runtime.Ranker:
    ranker = runtime.load(artifact, threads=threads)
    ranker._stage.helpers = _slow_rows(threads)
    return ranker


def test_what_a_row_takes_is_learned() -> None:
    helpers, called = Helpers(3), list[tuple[int, int]]()

    def work(begin: int, end: int) -> None:
        called.append((begin, end))

    assert helpers.spreads(1)
    assert not helpers.spreads(0)
    helpers.run(1000, 64, work)
    assert called == [(0, 1000)]
    assert not helpers.spreads(1)
    helpers = Helpers(3)
    # Of 50, then of 50 and 250, then of 3, 50 and 250 rows a share.
    for rows, nanoseconds, least in ((1, 5_000, 50), (100, 10**5, 250), (10, 10**6, 50)):
        helpers.learn(rows, nanoseconds)
        assert not helpers.spreads(2 * least - 1)
        assert helpers.spreads(2 * least)


def test_what_was_learned_is_forgotten_where_nothing_is_cut() -> None:
    helpers = Helpers(2)
    for _ in range(20):
        helpers.learn(1000, 1)  # as if rows took nothing
    assert not any(helpers.spreads(10**6) for _ in range(1000))
    helpers.spreads(10**6)
    assert helpers.spreads(1)
    helpers.learn(1, 250_000)
    assert not helpers.spreads(1)
    assert helpers.spreads(2)


@pytest.mark.parametrize("rows", [0, 1, 127, 128, 129, 256, 1000])
def test_threads_change_nothing(artifact: Path, rows: int) -> None:
    rng = np.random.default_rng(rows)
    given = {
        "X": rng.normal(size=(rows, 5)).astype(np.float32),
        "ids": rng.integers(0, TABLE_ROWS, rows),
    }
    want = runtime.load(artifact).predict(given)["Y"]
    for threads in (2, 3):
        unlearned = runtime.load(artifact, threads=threads)
        np.testing.assert_array_equal(unlearned.predict(given)["Y"], want)
        ranker = _spreading(artifact, threads)
        np.testing.assert_array_equal(ranker.predict(given)["Y"], want)


def test_an_error_in_a_helper_is_raised(artifact: Path) -> None:
    ranker = _spreading(artifact, 2)
    ids = np.zeros(1000, np.int64)
    ids[900] = TABLE_ROWS + 5
    with pytest.raises(runtime.UnknownIdError, match="id 15 is outside"):
        ranker.predict({"X": np.zeros((1000, 5), np.float32), "ids": ids})
    ids[900] = 0
    assert ranker.predict({"X": np.zeros((1000, 5), np.float32), "ids": ids})["Y"].shape == (
        1000,
        1,
    )


def test_every_range_is_waited_for() -> None:
    done: list[tuple[int, int]] = []

    def work(begin: int, end: int) -> None:
        if begin == 0:
            raise ValueError("first")
        done.append((begin, end))

    with pytest.raises(ValueError, match="first"):
        _slow_rows(3).run(1000, 64, work)
    assert len(done) == 2


@pytest.mark.parametrize("threads", [0, -1, "2", None])
def test_bad_counts(artifact: Path, threads: object) -> None:
    with pytest.raises(runtime.RequestError, match="a count from 1 on is needed"):
        runtime.load(artifact, threads=threads)  # type: ignore[arg-type]
