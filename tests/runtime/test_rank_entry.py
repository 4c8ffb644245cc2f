"""`Ranker.rank` as a compiled function: it is called as the method, and leaves that the rest."""

from __future__ import annotations

import gc
import inspect
import os
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import runtime
from runtime.rank_plan import Current
from runtime.ranking import Ranking
from tests.ranking_model import items
from tests.runtime.served_models import (
    COUNT,
    Artifacts,
    assert_same,
    by_stages,
    load_case,
    set_brief,
    user_of,
)

_IDS = [f"i{i}" for i in range(20)]


@pytest.fixture(scope="module", params=["plain", "pairs", "outputs"])
def artifact(request: pytest.FixtureRequest, artifacts: Artifacts) -> Path:
    return artifacts[request.param]


@pytest.fixture
def left(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows by one with each request that a ranker, loaded from here on, leaves the method."""
    found, rank = list[str](), Ranking.rank

    def noted(*given: Any, **named: Any) -> Any:
        found.append("left")
        return rank(*given, **named)

    monkeypatch.setattr(Ranking, "rank", noted)
    return found


def _ready(artifact: Path, left: list[str]) -> tuple[runtime.Ranker, dict[str, Any], np.ndarray]:
    """A ranker that has memory and knows how long requests take, a user, and the scores."""
    ranker = load_case(artifact)
    user = user_of(ranker)
    want = by_stages(artifact).rank(user, _IDS)["ctr"]
    set_brief(ranker, COUNT)
    np.testing.assert_array_equal(ranker.rank(user, _IDS)["ctr"], want)
    assert left.pop() == "left"
    left.clear()
    return ranker, user, want


def test_it_looks_like_the_method(artifact: Path) -> None:
    ranker, method = load_case(artifact), runtime.Ranker.rank
    assert ranker.rank.__name__ == "rank"
    assert inspect.getdoc(ranker.rank) == inspect.getdoc(method)
    assert list(inspect.signature(ranker.rank).parameters) == ["user", "items", "context"]
    assert inspect.signature(ranker.rank).parameters["context"].default is None


@pytest.mark.parametrize(
    ("call", "is_left"),
    [
        (lambda rank, user, ids: rank(user, ids), False),
        (lambda rank, user, ids: rank(user, ids, None), False),
        (lambda rank, user, ids: rank(user, items=ids), False),
        (lambda rank, user, ids: rank(user=user, items=ids), False),
        (lambda rank, user, ids: rank(user, ids, context=None), False),
        (lambda rank, user, ids: rank(user, items=ids, context=None), False),
        (lambda rank, user, ids: rank(user=user, items=ids, context=None), False),
        (lambda rank, user, ids: rank(user, *[ids], **{}), False),
        (lambda rank, user, ids: rank(items=ids, user=user), True),
        (lambda rank, user, ids: rank(user, context=None, items=ids), True),
        (lambda rank, user, ids: rank(user, ids, {}), True),
        (lambda rank, user, ids: rank(user, np.array(ids)), True),
    ],
)
def test_arguments_by_place_and_by_name(
    artifact: Path, left: list[str], call: Callable[..., Any], is_left: bool
) -> None:
    ranker, user, want = _ready(artifact, left)
    for _ in range(3):
        np.testing.assert_array_equal(call(ranker.rank, user, _IDS)["ctr"], want)
    assert left == ["left"] * 3 * is_left


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ((), {}),
        (({},), {}),
        (({}, []), {"user": {}}),
        (({}, [], None, None), {}),
        (({}, []), {"contexts": None}),
        (({},), {"context": None}),
    ],
)
def test_wrong_arguments_are_told_as_of_the_method(
    artifact: Path, left: list[str], given: Any, named: Any
) -> None:
    ranker, user, want = _ready(artifact, left)
    with pytest.raises(TypeError) as of_method:
        runtime.Ranker.rank(ranker, *given, **named)
    for _ in range(2):
        with pytest.raises(TypeError) as error:
            ranker.rank(*given, **named)
        assert str(error.value) == str(of_method.value)
        np.testing.assert_array_equal(ranker.rank(user, _IDS)["ctr"], want)


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 300])
def test_all_outputs_of_any_count(artifact: Path, left: list[str], count: int) -> None:
    ranker, user, _ = _ready(artifact, left)
    ids = [f"i{i}" for i in range(count)]
    want = by_stages(artifact).rank(user, ids)
    ranker.rank(user, ids)
    left.clear()
    assert_same(ranker.rank(user, ids), want)
    assert left == []


class _Name(str):
    """A key that asks for another request when it is compared."""

    __slots__ = ()
    compared: Callable[[], object] = staticmethod(lambda: None)
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        self.compared()
        return str.__eq__(self, other)


def test_a_request_within_a_request(artifact: Path, left: list[str]) -> None:
    ranker, user, want = _ready(artifact, left)
    inner: list[np.ndarray] = []
    _Name.compared = staticmethod(lambda: inner.append(ranker.rank(user, _IDS[:3])["ctr"]))
    given = {_Name(name): value for name, value in user.items()}
    for _ in range(2):
        np.testing.assert_array_equal(ranker.rank(given, _IDS)["ctr"], want)
    assert len(inner) >= 2 * len(user)
    for found in inner:
        np.testing.assert_array_equal(found, want[:3])


def test_keys_that_cannot_be_compared(artifact: Path, left: list[str]) -> None:
    """Another error, or the same, as of the method; none is left behind."""
    ranker, user, want = _ready(artifact, left)

    def refuse() -> None:
        raise ArithmeticError("not comparable")

    _Name.compared = staticmethod(refuse)
    given = {_Name(name): value for name, value in user.items()}
    for _ in range(2):
        with pytest.raises(ArithmeticError, match="not comparable"):
            ranker.rank(given, _IDS)
        np.testing.assert_array_equal(ranker.rank(user, _IDS)["ctr"], want)


def test_where_there_is_no_memory(artifact: Path, left: list[str]) -> None:
    """Each allocation of the compiled function in turn fails, and the method answers."""
    testing = pytest.importorskip("_testcapi")
    ranker, user, want = _ready(artifact, left)
    rank = ranker.rank
    for fails in range(12):
        rank(user, _IDS)  # so that there is memory of the request's own
        testing.set_nomemory(fails, fails + 1)
        try:
            found = rank(user, _IDS)
        finally:
            testing.remove_mem_hooks()
        np.testing.assert_array_equal(found["ctr"], want)
    assert left
    left.clear()
    np.testing.assert_array_equal(rank(user, _IDS)["ctr"], want)
    assert left == []


def test_nothing_is_kept_of_a_request(artifact: Path, left: list[str]) -> None:
    """As counts of references, and of memory that is given back."""
    ranker, user, _ = _ready(artifact, left)
    assert ranker._ranking is not None
    found = ranker.rank(user, _IDS)
    counts = [sys.getrefcount(found), sys.getrefcount(found["ctr"])]
    assert counts == [2, 2]
    assert found["ctr"].base is None and found["ctr"].flags.writeable
    watched = [user, _IDS, _IDS[0], ranker._ranking.items.state, found["ctr"].dtype, None]
    before = [sys.getrefcount(one) for one in watched]
    for _ in range(100):
        ranker.rank(user, _IDS)
        ranker.rank(user, items=_IDS, context=None)
        with pytest.raises(runtime.UnknownItemError):
            ranker.rank(user, ["never"])
    after = [sys.getrefcount(one) for one in watched]
    assert all(abs(a - b) < 20 for a, b in zip(after, before, strict=True))
    assert len(ranker._ranking._idle) == 1


def test_a_ranker_goes_with_its_last_reference(artifact: Path) -> None:
    """No cycle keeps it: items may be large."""
    ranker = load_case(artifact)
    ranker.rank(user_of(ranker), _IDS)
    assert ranker._ranking is not None
    gone = weakref.ref(ranker), weakref.ref(ranker._ranking.items.state)
    gc.disable()
    try:
        del ranker
        assert [one() for one in gone] == [None, None]
    finally:
        gc.enable()


def test_the_function_outlives_its_ranker(artifact: Path, left: list[str]) -> None:
    ranker, user, want = _ready(artifact, left)
    rank = ranker.rank
    del ranker
    gc.collect()
    for _ in range(3):
        np.testing.assert_array_equal(rank(user, _IDS)["ctr"], want)
    assert left == []


def test_a_subclass_has_its_own(artifact: Path) -> None:
    class Doubled(runtime.Ranker):
        def rank(self, *given: Any, **named: Any) -> dict[str, Any]:
            return {name: 2 * array for name, array in super().rank(*given, **named).items()}

    ranker = load_case(artifact)
    user = user_of(ranker)
    other = Doubled(ranker._artifact, ranker._module)
    other.items.upsert(items(COUNT), key="id")
    want = 2 * ranker.rank(user, _IDS)["ctr"]
    np.testing.assert_array_equal(other.rank(user, _IDS)["ctr"], want)


@contextmanager
def _at_collections(act: Callable[[], object]) -> Iterator[None]:
    """Python collects garbage wherever a new dict is made, as the dict of an answer is."""
    kept = [{} for _ in range(200)]  # so that there are no old ones that it uses again

    def notice(phase: str, _: object) -> None:
        if phase == "start":
            act()

    thresholds = gc.get_threshold()
    gc.callbacks.append(notice)
    gc.set_threshold(1)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.callbacks.remove(notice)
        kept.clear()


_WITHIN_CALLS = pytest.mark.skipif(
    sys.version_info >= (3, 12), reason="this Python collects garbage between bytecodes only"
)


@_WITHIN_CALLS
@pytest.mark.parametrize(
    "change", [lambda ids: ids.append("i250"), list.pop, list.clear, list.reverse]
)
def test_ids_that_change_meanwhile(
    artifact: Path, left: list[str], change: Callable[[list[str]], object]
) -> None:
    """After they were counted."""
    ranker, user, _ = _ready(artifact, left)
    ids, changes = list(_IDS), [change]
    with _at_collections(lambda: changes and changes.pop()(ids)):
        got = ranker.rank(user, ids)["ctr"]
    assert changes == [] and ids != _IDS
    np.testing.assert_array_equal(got, by_stages(artifact).rank(user, ids)["ctr"])


@_WITHIN_CALLS
def test_items_that_are_replaced_meanwhile(artifact: Path, left: list[str]) -> None:
    """The request holds those that it began with."""
    ranker, user, want = _ready(artifact, left)
    assert ranker._ranking is not None
    gone, changes = weakref.ref(ranker._ranking.items.state), [items(5)]
    with _at_collections(lambda: changes and ranker.items.replace(changes.pop(), key="id")):
        got = ranker.rank(user, _IDS)["ctr"]
    np.testing.assert_array_equal(got, want)
    assert changes == [] and left == [] and gone() is None
    assert len(ranker.items) == 5
    with pytest.raises(runtime.UnknownItemError, match="'i5'"):
        ranker.rank(user, _IDS)


def test_while_items_are_exchanged_the_method_answers(artifact: Path, left: list[str]) -> None:
    ranker, user, want = _ready(artifact, left)
    assert ranker._ranking is not None
    current = ranker._ranking.items._current
    version, current[Current.VERSION] = current[Current.VERSION], 0
    np.testing.assert_array_equal(ranker.rank(user, _IDS)["ctr"], want)
    assert left == ["left"]
    current[Current.VERSION] = version
    np.testing.assert_array_equal(ranker.rank(user, _IDS)["ctr"], want)
    assert left == ["left"]


def test_many_threads(artifact: Path, left: list[str]) -> None:
    """Each has memory of its own, and gives it back."""
    ranker, user, want = _ready(artifact, left)
    assert ranker._ranking is not None
    set_brief(ranker, 0)  # so that all give up Python's lock
    wrong: list[object] = []

    def ask() -> None:
        for _ in range(300):
            if not np.array_equal(ranker.rank(user, _IDS)["ctr"], want):
                wrong.append(user)

    asking = [threading.Thread(target=ask) for _ in range(6)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert wrong == []
    assert 1 <= len(ranker._ranking._idle) <= 6
    assert len(left) < 60


def test_an_interrupted_request_leaves_no_memory(
    artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may point where nothing is any more."""
    ranker = load_case(artifact)
    user = user_of(ranker)
    want = ranker.rank(user, _IDS)["ctr"]
    assert ranker._ranking is not None and len(ranker._ranking._idle) == 1

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Ranking, "_by_parts", interrupt)
    with pytest.raises(KeyboardInterrupt):
        ranker.rank(user, [*_IDS, "never"])
    monkeypatch.undo()
    assert ranker._ranking._idle == []
    np.testing.assert_array_equal(ranker.rank(user, _IDS)["ctr"], want)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_processes_that_are_forked_answer_too(artifact: Path, left: list[str]) -> None:
    """As a service has them that loads before it forks its workers."""
    ranker, user, want = _ready(artifact, left)
    set_brief(ranker, 0)
    children = []
    for _ in range(2):
        child = os.fork()
        if child == 0:
            found = [ranker.rank(user, _IDS)["ctr"] for _ in range(20)]
            os._exit(0 if all(np.array_equal(one, want) for one in found) and not left else 1)
        children.append(child)
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0]
    np.testing.assert_array_equal(ranker.rank(user, _IDS)["ctr"], want)
