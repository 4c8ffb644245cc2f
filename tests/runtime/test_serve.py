"""A request in one call gives what its stages give one after the other, and the same errors."""

from __future__ import annotations

import ctypes
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import runtime
from rtcompile.codegen.program import StageProgram
from rtcompile.codegen.serve import served_stages
from runtime.brief_calls import BriefCalls
from runtime.serve_plan import Outcome, Word
from tests.ranking_model import items
from tests.runtime.served_models import (
    CASES,
    COUNT,
    build_case,
    by_stages,
    load_case,
    score,
    user_of,
)


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: build_case(tmp_path_factory.mktemp(name), case) for name, case in CASES.items()}


def _calls(ranker: runtime.Ranker) -> list[int]:
    """The rows of each call after a first request."""
    _score(ranker, user_of(ranker), 1)
    assert ranker._ranking is not None
    served, rows = ranker._ranking._idle[-1].served, list[int]()
    assert served is not None
    served._function = _Counted(rows, served._function)
    return rows


def _word(words: int, place: int) -> int:
    return ctypes.c_int64.from_address(words + 8 * place).value


class _Counted:
    """Notes the rows of each call that did not leave the reading to the runtime."""

    def __init__(self, rows: list[int], function: Any) -> None:
        self._rows, self._function = rows, function

    def __call__(self, fields: int, ids: int, found: int, words: int) -> None:
        self._function(fields, ids, found, words)
        rows, outcome = (_word(words, place) for place in (Word.ROWS, Word.OUTCOME))
        if outcome != Outcome.UNREAD:
            self._rows.append(rows)


def _score(ranker: runtime.Ranker, user: dict[str, Any], count: int) -> np.ndarray:
    return score(ranker, user, count)["ctr"]


def _assert_same(got: dict[str, np.ndarray], want: dict[str, np.ndarray]) -> None:
    assert list(got) == list(want)
    for name, values in want.items():
        np.testing.assert_array_equal(got[name], values)
        assert (got[name].dtype, got[name].shape) == (values.dtype, values.shape)


def test_an_answer_is_the_callers_own(artifacts: dict[str, Path]) -> None:
    ranker = load_case(artifacts["outputs"])
    answers = [score(ranker, user_of(ranker, user_id=number), 70) for number in range(3)]
    kept = [{name: values.copy() for name, values in answer.items()} for answer in answers]
    assert answers[0]["fixed"].tolist() == [1, 2, 3]
    for values in answers[0].values():
        values[...] = 7
    _assert_same(score(ranker, user_of(ranker, user_id=1), 70), kept[1])
    for answer, want in zip(answers[1:], kept[1:], strict=True):
        _assert_same(answer, want)


@pytest.mark.parametrize("name", CASES)
def test_scores_are_those_of_the_stages(artifacts: dict[str, Path], name: str) -> None:
    whole, stages, case = load_case(artifacts[name]), by_stages(artifacts[name]), CASES[name]
    assert whole.manifest["serve"] == list(case.serve)
    called, answers = _calls(whole) if case.serve else [], "cross" in case.serve
    counts = [1, 64, 0, 65, 2, 300, 63, 300]
    for number, count in enumerate(counts):
        user = user_of(whole, user_id=number, tags="a|b|c"[: 2 * number + 1], age=20 + number)
        got, want = score(whole, user, count), score(stages, user, count)
        _assert_same(got, want)
        assert got["ctr"].shape == (count, 1)
        # Again, now that there is memory for it.
        before = len(called)
        _assert_same(score(whole, user, count), want)
        assert called[before:] == [count if answers else 0] * bool(case.serve)


@pytest.mark.parametrize("name", ["plain", "pairs", "context"])
@pytest.mark.parametrize(
    "change",
    [
        {"user_id": np.int32(5)},  # a column is left
        {"tags": b"a|b", "age": np.float32(3)},
        {"tags": np.str_("a|b")},  # marshal does not take it
        {"tags": ["a", "b"], "hist__item_id": "1;2;3"},
    ],
    ids=repr,
)
def test_values_that_are_left(
    artifacts: dict[str, Path], name: str, change: dict[str, Any]
) -> None:
    whole, stages = load_case(artifacts[name]), by_stages(artifacts[name])
    for changes in (change, {}, change):
        user = user_of(whole, **changes)
        np.testing.assert_array_equal(_score(whole, user, 70), _score(stages, user, 70))


@pytest.mark.parametrize("name", ["plain", "no_user_network", "pairs", "context"])
def test_longer_requests_than_before(artifacts: dict[str, Path], name: str) -> None:
    whole, stages = load_case(artifacts[name]), by_stages(artifacts[name])
    called = _calls(whole)
    answers = "cross" in CASES[name].serve
    for size, count in ((1, 1), (3000, 1), (3000, 100), (50, 200), (200_000, 200)):
        user = user_of(whole, tags="x|" * size)
        before = len(called)
        np.testing.assert_array_equal(_score(whole, user, count), _score(stages, user, count))
        assert set(called[before:]) == {count if answers else 0}
        assert len(called) - before <= 2  # again where the scratch was too small
        before = len(called)
        np.testing.assert_array_equal(_score(whole, user, count), _score(stages, user, count))
        assert called[before:] == [count if answers else 0]


def _set_brief(calls: BriefCalls, most: int) -> None:
    calls.most = calls._word[0] = most
    calls.least_long = most + 1


@pytest.mark.parametrize("keeps", [False, True])
def test_the_lock_is_given_up_while_stages_run(artifacts: dict[str, Path], keeps: bool) -> None:
    """Nobody is asked to give it up within the test, so others run only where a call does so."""
    ranker = load_case(artifacts["plain"])
    user, ids = user_of(ranker), [f"i{i}" for i in range(COUNT)]  # numpy copies so few with it
    ranker.rank(user, ids)
    assert ranker._ranking is not None and ranker._ranking._server is not None
    _set_brief(ranker._ranking._server.brief, COUNT if keeps else 0)
    others, stop = [0], threading.Event()

    def count() -> None:
        while not stop.is_set():
            others[0] += 1
            time.sleep(0)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1000)
    counting = threading.Thread(target=count)
    try:
        counting.start()
        before = others[0]
        for _ in range(500):
            ranker.rank(user, ids)
            if others[0] > before + 3:
                break
        assert (others[0] > before) is not keeps
    finally:
        stop.set()
        sys.setswitchinterval(interval)
        counting.join()


@pytest.mark.parametrize("name", ["plain", "outputs", "pairs"])
def test_many_threads_help(artifacts: dict[str, Path], name: str) -> None:
    whole, stages = load_case(artifacts[name], threads=2), by_stages(artifacts[name])
    called = _calls(whole)
    assert whole._stage.helpers is not None
    whole._stage.helpers._least = 70
    for count in (139, 140):
        user = user_of(whole)
        _assert_same(score(whole, user, count), score(stages, user, count))
    assert list(dict.fromkeys(called)) == [139, 0]  # with more scratch where that was too small


@pytest.mark.parametrize("name", ["plain", "no_user_network", "pairs", "context"])
@pytest.mark.parametrize(
    "change",
    [
        {"user_id": 20},  # the network looks it up
        {"user_id": None},  # a feature without a value
        {"hist__item_id": [1, 99]},
        {"age": {}},
        {"tags": [["a"]]},
    ],
    ids=repr,
)
def test_errors_are_those_of_the_stages(
    artifacts: dict[str, Path], name: str, change: dict[str, Any]
) -> None:
    whole, stages = load_case(artifacts[name]), by_stages(artifacts[name])
    user, wrong = user_of(whole), user_of(whole, **change)
    want = _score(stages, user, 5)
    found = []
    for ranker in (whole, stages):
        with pytest.raises(runtime.RequestError) as error:
            _score(ranker, wrong, 5)
        found.append((type(error.value), str(error.value)))
        np.testing.assert_array_equal(_score(ranker, user, 5), want)
    assert found[0] == found[1]
    assert whole._ranking is not None
    assert len(whole._ranking._idle) == 1


def test_items_move(artifacts: dict[str, Path]) -> None:
    ranker = load_case(artifacts["plain"])
    user = user_of(ranker)
    want = _score(ranker, user, COUNT)
    for count in (1000, 5000):
        ranker.items.upsert(items(count), key="id")
        np.testing.assert_array_equal(_score(ranker, user, COUNT), want)
    ranker.items.replace(items(COUNT), key="id")
    np.testing.assert_array_equal(_score(ranker, user, COUNT), want)


@pytest.mark.parametrize("name", ["plain", "pairs", "context"])
def test_requests_of_many_threads_while_items_change(artifacts: dict[str, Path], name: str) -> None:
    ranker, stages = load_case(artifacts[name]), by_stages(artifacts[name])
    requests = []
    for number in range(16):
        changes: dict[str, Any] = {"user_id": number, "tags": "x|" * 40 * number}
        if number % 5 == 4:
            changes["age"] = np.float32(number)
        user, count = user_of(ranker, **changes), 1 + 19 * number
        requests.append((user, count, _score(stages, user, count)))
    stop = threading.Event()

    def ask(first: int) -> None:
        for number in range(first, first + 200):
            user, count, want = requests[number % len(requests)]
            np.testing.assert_array_equal(_score(ranker, user, count), want)

    def change() -> None:
        while not stop.is_set():
            ranker.items.upsert(items(COUNT), key="id")
            ranker.items.replace(items(COUNT), key="id")

    writer = threading.Thread(target=change)
    writer.start()
    try:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(ask, range(4)))
    finally:
        stop.set()
        writer.join()


@pytest.mark.parametrize(
    "change",
    [
        {"query": "x " * 20_000},
        {"seen": "\x1d".join(f"k{i}:{i}" for i in range(9_000))},
        {"nested": "|".join(f"k{i}^{i}:1" for i in range(9_000))},
    ],
    ids=lambda change: next(iter(change)),
)
def test_long_values_of_features_of_pairs(
    artifacts: dict[str, Path], change: dict[str, Any]
) -> None:
    whole, stages = load_case(artifacts["pairs"]), by_stages(artifacts["pairs"])
    called, user = _calls(whole), user_of(whole, **change)
    for given in (user, user_of(whole), user):
        _assert_same(score(whole, given, 40), score(stages, given, 40))
    assert set(called) == {40}


def test_a_long_item(artifacts: dict[str, Path]) -> None:
    whole, stages = load_case(artifacts["pairs"]), by_stages(artifacts["pairs"])
    called, user = _calls(whole), user_of(whole)
    long = {name: values[:1] for name, values in items(1).items()}
    for words in ("red " * 3000, " " * 5000 + "green", "red " * 40_000):
        long["words"] = [words]
        for ranker in (whole, stages):
            ranker.items.upsert(long, key="id")
        _assert_same(score(whole, user, 30), score(stages, user, 30))
    assert set(called) == {30}


def test_items_columns_are_held_no_longer_than_a_request(artifacts: dict[str, Path]) -> None:
    """Whatever becomes of it."""
    ranker = load_case(artifacts["pairs"])
    ids, user = [f"i{i}" for i in range(70)], user_of(ranker)
    held = ranker.items.state.store.snapshot
    before = sys.getrefcount(held)
    ranker.rank(user, ids)
    ranker.rank(user_of(ranker, query="x " * 30_000), ids)  # more scratch
    ranker.rank(user_of(ranker, age=np.float32(3)), ids)  # a column is left
    with pytest.raises(runtime.UnknownIdError):
        ranker.rank(user_of(ranker, user_id=20), ids)
    with pytest.raises(runtime.UnknownItemError):
        ranker.rank(user, [*ids, "never"])
    assert sys.getrefcount(held) == before


@pytest.mark.parametrize("name", ["plain", "pairs"])
def test_ids_are_looked_up_while_others_are_entered(artifacts: dict[str, Path], name: str) -> None:
    """Without Python's lock: entering finds the texts no room, and moves them; so do columns."""
    ranker = load_case(artifacts[name])
    assert ranker._ranking is not None and ranker._ranking._server is not None
    user, known = user_of(ranker), items(COUNT)
    ids, stop = [f"i{i}" for i in range(COUNT)], threading.Event()
    want = ranker.rank(user, ids)["ctr"]
    _set_brief(ranker._ranking._server.brief, 0)
    asked = [0, 0]

    def ask(which: int) -> None:
        while not stop.is_set():
            np.testing.assert_array_equal(ranker.rank(user, ids)["ctr"], want)
            asked[which] += 1

    with ThreadPoolExecutor(2) as pool:
        asking = [pool.submit(ask, which) for which in range(2)]
        try:
            for number in range(6):
                ranker.items.replace(items(4000), key="id")  # of a new index
                for first in range(0, 600, 50):
                    more = {name: values[:50] for name, values in known.items()}
                    more["id"] = [f"{'new' * 30}{number}/{first + i}" for i in range(50)]
                    ranker.items.upsert(more, key="id")
                    ranker.items.delete(more["id"][::2])
                    assert len(ranker.items) == 4000 + first // 2 + 25
        finally:
            stop.set()
        for future in asking:
            future.result()
    assert min(asked) > 0


def test_builds_that_count_have_no_such_function() -> None:
    user = StageProgram("user", (), (), compiled_columns=True)
    network, cross = StageProgram("user_network", (), ()), StageProgram("cross", (), ())
    assert served_stages([user, cross, network]) == [user, network, cross]
    assert served_stages([user, cross, StageProgram("context", (), ())]) == [user]
    assert served_stages([network, cross]) == []
    assert served_stages([StageProgram("user", (), ()), cross]) == []
    assert served_stages([user, StageProgram("cross", (), (), calibration_words=2)]) == []
    assert served_stages([user, StageProgram("cross", (), (), counter="c")]) == []


def test_brief_calls_keep_the_lock() -> None:
    calls, known = BriefCalls(), list[tuple[int, int]]()
    for rows, is_brief in ((0, True), (1000, False), (3, True), (300, False)):
        for _ in range(16):
            known.append((calls.most, calls.least_long))
            calls.time(rows, int if is_brief else lambda: time.sleep(1e-3))
    known.append((calls.most, calls.least_long))
    nothing = sys.maxsize
    assert known[::16] == [(-1, nothing), (0, nothing), (0, 512), (3, 512), (3, 256)]
    assert known[15::16] == [(-1, nothing), (0, nothing), (0, 512), (3, 512)]
    assert calls._word[0] == calls.most
    for _ in range(100):
        calls.time(100, lambda: False)  # it did nothing
    assert (calls.most, calls.least_long) == known[-1]
