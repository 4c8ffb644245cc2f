"""A request in one call gives what its stages give one after the other, and the same errors."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from rtcompile import runtime
from rtcompile.codegen.entry.serve import served_stages
from rtcompile.codegen.program.program import StageProgram
from rtcompile.runtime.abi.serve import Outcome, Request
from rtcompile.runtime.abi.worker_pool import TRIALS, Pool
from tests.ranking_model import items
from tests.runtime.served_models import (
    CASES,
    COUNT,
    Artifacts,
    assert_same,
    by_stages,
    load_case,
    score,
    user_of,
)
from tests.runtime.sharing import pool_of, share_from, trial_of


def _calls(ranker: runtime.Ranker) -> list[int]:
    """The rows of each call after a first request, as the runtime makes them."""
    vars(ranker).pop("rank", None)
    _score(ranker, user_of(ranker), 1)
    assert ranker._ranking is not None
    served, rows = ranker._ranking._idle[-1][1].served, list[int]()
    assert served is not None
    if "cross" in ranker.manifest["serve"]:
        served._call = _Counted(rows, served._call, served.words)
    served._function = _Counted(rows, served._function, served.words)
    return rows


class _Counted:
    """Notes the rows of each call that did not leave the reading to the runtime."""

    def __init__(self, rows: list[int], function: Any, words: np.ndarray) -> None:
        self._rows, self._function, self._words = rows, function, words

    def __call__(self, *given: Any) -> Any:
        found = self._function(*given)
        if self._words[Request.OUTCOME] != Outcome.UNREAD:
            self._rows.append(int(self._words[Request.ROWS]))
        return found


def _score(ranker: runtime.Ranker, user: dict[str, Any], count: int) -> np.ndarray:
    return score(ranker, user, count)["ctr"]


def test_an_answer_is_the_callers_own(artifacts: Artifacts) -> None:
    ranker = load_case(artifacts["outputs"])
    answers = [score(ranker, user_of(ranker, user_id=number), 70) for number in range(3)]
    kept = [{name: values.copy() for name, values in answer.items()} for answer in answers]
    assert answers[0]["fixed"].tolist() == [1, 2, 3]
    for values in answers[0].values():
        values[...] = 7
    assert_same(score(ranker, user_of(ranker, user_id=1), 70), kept[1])
    for answer, want in zip(answers[1:], kept[1:], strict=True):
        assert_same(answer, want)


@pytest.mark.parametrize("name", CASES)
def test_scores_are_those_of_the_stages(artifacts: Artifacts, name: str) -> None:
    whole, stages, case = load_case(artifacts[name]), by_stages(artifacts[name]), CASES[name]
    assert whole.manifest["serve"] == list(case.serve)
    called, answers = _calls(whole) if case.serve else [], "cross" in case.serve
    counts = [1, 64, 0, 65, 2, 300, 63, 300]
    for number, count in enumerate(counts):
        user = user_of(whole, user_id=number, tags="a|b|c"[: 2 * number + 1], age=20 + number)
        got, want = score(whole, user, count), score(stages, user, count)
        assert_same(got, want)
        assert got["ctr"].shape == (count, 1)
        # Again, now that there is memory for it.
        before = len(called)
        assert_same(score(whole, user, count), want)
        assert called[before:] == [count if answers else 0] * bool(case.serve)


@pytest.mark.parametrize("name", ["plain", "pairs", "all_sides", "left_context"])
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
def test_values_that_are_left(artifacts: Artifacts, name: str, change: dict[str, Any]) -> None:
    whole, stages = load_case(artifacts[name]), by_stages(artifacts[name])
    for changes in (change, {}, change):
        user = user_of(whole, **changes)
        np.testing.assert_array_equal(_score(whole, user, 70), _score(stages, user, 70))


@pytest.mark.parametrize("name", ["plain", "no_user_network", "pairs", "all_sides", "left_context"])
def test_longer_requests_than_before(artifacts: Artifacts, name: str) -> None:
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


@pytest.mark.parametrize("name", ["plain", "outputs", "pairs"])
def test_many_threads_help(artifacts: Artifacts, name: str) -> None:
    whole, stages = load_case(artifacts[name], threads=2), by_stages(artifacts[name])
    called = _calls(whole)
    share_from(whole, 128)
    for count in (127, 128):
        assert pool_of(whole)[Pool.NEXT] == 0
        user = user_of(whole)
        assert_same(score(whole, user, count), score(stages, user, count))
    assert list(dict.fromkeys(called)) == [127, 128]
    assert pool_of(whole)[Pool.NEXT] > 0


@pytest.mark.parametrize("name", ["plain", "context", "left_context"])
def test_what_requests_take_decides_who_shares_them(artifacts: Artifacts, name: str) -> None:
    ranker = load_case(artifacts[name], threads=2)
    user, team = user_of(ranker), pool_of(ranker)
    for limit in (1 << 60, -1):
        team[Pool.LIMIT], trial_of(ranker, 130)[:] = limit, 0
        for calls in range(TRIALS):
            score(ranker, user, 130 + calls)
        assert list(trial_of(ranker, 130)) == [TRIALS, TRIALS if limit < 0 else 0]
        assert team[Pool.NEXT] == 0
        want = score(by_stages(artifacts[name]), user, 130)
        assert_same(score(ranker, user, 130), want)
        assert (team[Pool.NEXT] > 0) == (limit < 0)
    assert not trial_of(ranker, 1).any() and not trial_of(ranker, 0).any()


@pytest.mark.parametrize("name", ["plain", "no_user_network", "all_sides", "left_context"])
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
    artifacts: Artifacts, name: str, change: dict[str, Any]
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


def test_items_move(artifacts: Artifacts) -> None:
    ranker = load_case(artifacts["plain"])
    user = user_of(ranker)
    want = _score(ranker, user, COUNT)
    for count in (1000, 5000):
        ranker.items.upsert(items(count), key="id")
        np.testing.assert_array_equal(_score(ranker, user, COUNT), want)
    ranker.items.replace(items(COUNT), key="id")
    np.testing.assert_array_equal(_score(ranker, user, COUNT), want)


@pytest.mark.parametrize(
    "change",
    [
        {"query": "x " * 20_000},
        {"seen": "\x1d".join(f"k{i}:{i}" for i in range(9_000))},
        {"nested": "|".join(f"k{i}^{i}:1" for i in range(9_000))},
    ],
    ids=lambda change: next(iter(change)),
)
def test_long_values_of_features_of_pairs(artifacts: Artifacts, change: dict[str, Any]) -> None:
    whole, stages = load_case(artifacts["pairs"]), by_stages(artifacts["pairs"])
    called, user = _calls(whole), user_of(whole, **change)
    for given in (user, user_of(whole), user):
        assert_same(score(whole, given, 40), score(stages, given, 40))
    assert set(called) == {40}


def test_a_long_item(artifacts: Artifacts) -> None:
    whole, stages = load_case(artifacts["pairs"]), by_stages(artifacts["pairs"])
    called, user = _calls(whole), user_of(whole)
    long = {name: values[:1] for name, values in items(1).items()}
    for words in ("red " * 3000, " " * 5000 + "green", "red " * 40_000):
        long["words"] = [words]
        for ranker in (whole, stages):
            ranker.items.upsert(long, key="id")
        assert_same(score(whole, user, 30), score(stages, user, 30))
    assert set(called) == {30}


def test_items_columns_are_held_no_longer_than_a_request(artifacts: Artifacts) -> None:
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


def test_builds_that_count_have_no_such_function() -> None:
    user = StageProgram("user", (), (), compiled_columns=True)
    network, cross = StageProgram("user_network", (), ()), StageProgram("cross", (), ())
    assert served_stages([user, cross, network]) == [user, network, cross]
    assert served_stages([user, cross, StageProgram("context", (), ())]) == [user]
    context = StageProgram("context", (), (), compiled_columns=True)
    assert served_stages([context, user, cross, network]) == [user, network, context, cross]
    assert served_stages([context, cross]) == [context, cross]
    assert served_stages([context, StageProgram("user", (), ()), cross]) == []
    assert served_stages([StageProgram("context", (), ()), cross]) == []
    assert served_stages([network, cross]) == []
    assert served_stages([StageProgram("user", (), ()), cross]) == []
    assert served_stages([user, StageProgram("cross", (), (), calibration_words=2)]) == []
    assert served_stages([user, StageProgram("cross", (), (), counter="c")]) == []
