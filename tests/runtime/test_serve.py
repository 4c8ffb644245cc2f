"""A request in one call gives what its stages give one after the other, and the same errors."""

from __future__ import annotations

import ctypes
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

import rtcompile
import runtime
from rtcompile.codegen.program import StageProgram
from rtcompile.codegen.serve import served_stages
from runtime.brief_calls import BriefCalls
from runtime.serve import Served
from runtime.serve_plan import Outcome, Word
from tests.ranking_model import DIMENSION, FEATURES, INPUTS, USER, items, ranking_model

COUNT = 300
# Joined texts need scratch.
JOINED: dict[str, Any] = {
    "feature_type": "combo_feature",
    "feature_name": "joined",
    "expression": ["user:query", "user:tags"],
    "hash_bucket_size": 30,
    "separator": "|",
    "embedding_name": "tag",
    "default_value": "none",
}
_ITEM = ("item_id", "price", "size", "words", "pair", "scored")
_USER = ("user_id", "age", "tags", "hist", "joined")
_INPUTS = {**INPUTS, "joined": (1, [DIMENSION])}


@dataclass(frozen=True)
class Case:
    """A model: the features that it has, and the stages that one call runs."""

    features: tuple[str, ...]
    serve: tuple[str, ...]
    without: tuple[str, ...] = ()
    context: bool = False


CASES = {
    "plain": Case((*_USER, *_ITEM), ("user", "user_network", "cross")),
    "no_user_network": Case((*_USER, *_ITEM), ("user", "cross"), ("staging",)),
    "no_user_features": Case(_ITEM, ()),
    "context": Case((), ("user", "user_network"), context=True),
}


def _features(case: Case) -> list[dict[str, Any]]:
    if case.context:
        return [*FEATURES, JOINED]
    named = {f.get("sequence_name", f.get("feature_name")): f for f in [*FEATURES, JOINED]}
    return [named[name] for name in case.features]


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    found = {}
    for name, case in CASES.items():
        folder, features = tmp_path_factory.mktemp(name), _features(case)
        inputs = {
            n: form
            for n, form in _INPUTS.items()
            if case.context or n.partition("__")[0] in case.features
        }
        model = ranking_model(folder, features, inputs)
        options = rtcompile.BuildOptions(
            features=model.features, embeddings=model.embeddings, without=case.without
        )
        found[name] = folder / "m.rtc"
        rtcompile.build(model.onnx, options, output=found[name])
    return found


def _loaded(path: Path, threads: int = 1) -> runtime.Ranker:
    ranker = runtime.load(path, threads)
    ranker.items.upsert(items(COUNT), key="id")
    return ranker


def _by_stages(path: Path) -> runtime.Ranker:
    ranker = _loaded(path)
    assert ranker._ranking is not None
    ranker._ranking._server, ranker._ranking.at_once = None, False
    return ranker


def _calls(ranker: runtime.Ranker) -> list[int]:
    """The rows of each call after a first request."""
    _score(ranker, _user(ranker), 1)
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

    def __call__(self, fields: int, ids: int, words: int) -> None:
        self._function(fields, ids, words)
        rows, outcome = (_word(words, place) for place in (Word.ROWS, Word.OUTCOME))
        if outcome != Outcome.UNREAD:
            self._rows.append(rows)


def _user(ranker: runtime.Ranker, **changes: Any) -> dict[str, Any]:
    user = {**USER, **changes}
    return {name: user[name] for name in ranker.manifest["fields"]["user"]}


def _score(ranker: runtime.Ranker, user: dict[str, Any], count: int) -> np.ndarray:
    needs = bool(ranker.manifest["fields"]["context"])
    context = {"position": [i % 5 for i in range(count)]} if needs else None
    return ranker.rank(user, [f"i{i}" for i in range(count)], context)["ctr"]


@pytest.mark.parametrize("name", CASES)
def test_scores_are_those_of_the_stages(artifacts: dict[str, Path], name: str) -> None:
    whole, stages, case = _loaded(artifacts[name]), _by_stages(artifacts[name]), CASES[name]
    assert whole.manifest["serve"] == list(case.serve)
    called = _calls(whole) if case.serve else []
    counts = [1, 64, 0, 65, 2, 300, 63, 300]
    for number, count in enumerate(counts):
        user = _user(whole, user_id=number, tags="a|b|c"[: 2 * number + 1], age=20 + number)
        got, want = _score(whole, user, count), _score(stages, user, count)
        np.testing.assert_array_equal(got, want)
        assert got.shape == (count, 1)
    if case.serve:
        assert called == (counts if "cross" in case.serve else [0] * len(counts))


@pytest.mark.parametrize("name", ["plain", "context"])
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
    whole, stages = _loaded(artifacts[name]), _by_stages(artifacts[name])
    for changes in (change, {}, change):
        user = _user(whole, **changes)
        np.testing.assert_array_equal(_score(whole, user, 70), _score(stages, user, 70))


@pytest.mark.parametrize("name", ["plain", "no_user_network", "context"])
def test_longer_requests_than_before(artifacts: dict[str, Path], name: str) -> None:
    whole, stages = _loaded(artifacts[name]), _by_stages(artifacts[name])
    called = _calls(whole)
    answers = "cross" in CASES[name].serve
    for size, count in ((1, 1), (3000, 1), (3000, 100), (50, 200), (200_000, 200)):
        user = _user(whole, tags="x|" * size)
        before = len(called)
        np.testing.assert_array_equal(_score(whole, user, count), _score(stages, user, count))
        rows = called[before:]
        assert set(rows) == {count if answers else 0}
        # Again where the scratch was too small.
        assert len(rows) == (2 if (size, count) in ((3000, 1), (200_000, 200)) else 1)


def _by_parts(ranker: runtime.Ranker, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each request from here on, whether compiled code left the reading to the runtime."""
    found: list[bool] = []
    answer = Served.answer

    def noted(self: Served, user: object, items: Any) -> Any:
        given = answer(self, user, items)
        found.append(given is None)
        return given

    monkeypatch.setattr(Served, "answer", noted)
    return found


class _Text(str):
    __slots__ = ()


class _List(list[Any]):
    pass


_IDS = [f"i{i}" for i in range(20)]


@pytest.mark.parametrize(
    ("ids", "by_parts"),
    [
        (_IDS, [False]),
        (tuple(_IDS), [False]),
        ([], [False]),
        (_IDS * 3, [False]),
        ([*_IDS, b"i0"], [True]),
        ([*_IDS, _Text("i0")], [True]),
        (_List(_IDS), [True]),
        (np.array(_IDS), []),
    ],
    ids=["list", "tuple", "none", "twice", "bytes", "subclass", "list subclass", "array"],
)
def test_ids_of_any_form(
    artifacts: dict[str, Path], monkeypatch: pytest.MonkeyPatch, ids: Any, by_parts: list[bool]
) -> None:
    whole, stages = _loaded(artifacts["plain"]), _by_stages(artifacts["plain"])
    user = _user(whole)
    whole.rank(user, _IDS)
    noted = _by_parts(whole, monkeypatch)
    got, want = whole.rank(user, ids), stages.rank(user, ids)
    np.testing.assert_array_equal(got["ctr"], want["ctr"])
    assert got["ctr"].shape == (len(ids), 1)
    assert noted == by_parts


@pytest.mark.parametrize(
    ("change", "by_parts"),
    [
        (lambda user: user, False),
        (lambda user: dict(reversed(list(user.items()))), False),
        (lambda user: {_Text(name): value for name, value in user.items()}, False),
        (MappingProxyType, True),
        (lambda user: {**user, "tags": _Text("a|b")}, True),
        (lambda user: {**user, "tags": b"a|b"}, True),
    ],
    ids=["dict", "another order", "other keys", "mapping", "subclass", "bytes"],
)
def test_users_of_any_form(
    artifacts: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Any], Any],
    by_parts: bool,
) -> None:
    whole, stages = _loaded(artifacts["plain"]), _by_stages(artifacts["plain"])
    user = _user(whole)
    whole.rank(user, _IDS)
    noted = _by_parts(whole, monkeypatch)
    want = stages.rank(change(user), _IDS)["ctr"]
    np.testing.assert_array_equal(whole.rank(change(user), _IDS)["ctr"], want)
    assert noted == [by_parts]


@pytest.mark.parametrize(
    ("user", "ids"),
    [
        ({"tags": "a"}, _IDS),
        ({**USER, "more": 1}, _IDS),
        ([], _IDS),
        (None, _IDS),
        ("user", _IDS),
        ({}, _IDS),
        (USER, [*_IDS, "never"]),
        (USER, [*_IDS, None]),
        (USER, [*_IDS, True]),
        (USER, "i1"),
        (USER, None),
        (USER, {"i1"}),
    ],
    ids=str,
)
def test_bad_requests_are_refused_as_by_stages(
    artifacts: dict[str, Path], user: Any, ids: Any
) -> None:
    whole, stages = _loaded(artifacts["plain"]), _by_stages(artifacts["plain"])
    given = _user(whole) if user is USER else user
    found = []
    for ranker in (whole, stages):
        with pytest.raises(runtime.RequestError) as error:
            ranker.rank(given, ids)
        found.append((type(error.value), str(error.value)))
        assert ranker.rank(_user(ranker), _IDS)["ctr"].shape == (20, 1)
    assert found[0] == found[1]


@pytest.mark.parametrize("keeps", [False, True])
def test_the_lock_is_given_up_while_stages_run(
    artifacts: dict[str, Path], monkeypatch: pytest.MonkeyPatch, keeps: bool
) -> None:
    """Nobody is asked to give it up within the test, so others run only where a call does so."""
    ranker = _loaded(artifacts["plain"])
    user, ids = _user(ranker), [f"i{i}" for i in range(COUNT)]  # numpy copies so few with it
    ranker.rank(user, ids)
    monkeypatch.setattr(BriefCalls, "keeps_lock", lambda self, rows: keeps)
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


def test_many_threads_help(artifacts: dict[str, Path]) -> None:
    whole, stages = _loaded(artifacts["plain"], threads=2), _by_stages(artifacts["plain"])
    called = _calls(whole)
    assert whole._stage.helpers is not None
    whole._stage.helpers._least = 70
    for count in (139, 140):
        user = _user(whole)
        np.testing.assert_array_equal(_score(whole, user, count), _score(stages, user, count))
    assert called == [139, 0]


@pytest.mark.parametrize("name", ["plain", "no_user_network", "context"])
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
    whole, stages = _loaded(artifacts[name]), _by_stages(artifacts[name])
    user, wrong = _user(whole), _user(whole, **change)
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
    ranker = _loaded(artifacts["plain"])
    user = _user(ranker)
    want = _score(ranker, user, COUNT)
    for count in (1000, 5000):
        ranker.items.upsert(items(count), key="id")
        np.testing.assert_array_equal(_score(ranker, user, COUNT), want)
    ranker.items.replace(items(COUNT), key="id")
    np.testing.assert_array_equal(_score(ranker, user, COUNT), want)


@pytest.mark.parametrize("name", ["plain", "context"])
def test_requests_of_many_threads_while_items_change(artifacts: dict[str, Path], name: str) -> None:
    ranker, stages = _loaded(artifacts[name]), _by_stages(artifacts[name])
    requests = []
    for number in range(16):
        changes: dict[str, Any] = {"user_id": number, "tags": "x|" * 40 * number}
        if number % 5 == 4:
            changes["age"] = np.float32(number)
        user, count = _user(ranker, **changes), 1 + 19 * number
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
    calls = BriefCalls()
    for _ in range(16):
        assert calls.keeps_lock(0) is calls.keeps_lock(1000) is None
        calls.time(0, lambda: None)
        calls.time(1000, lambda: time.sleep(1e-3))
    assert [calls.keeps_lock(rows) for rows in (0, 1000, 10**6)] == [True, False, None]
