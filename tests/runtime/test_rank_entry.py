"""`Ranker.rank` as a compiled function: it is called as the method, and leaves that the rest."""

from __future__ import annotations

import gc
import inspect
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtcompile import runtime
from tests.ranking_model import items
from tests.runtime.served_models import (
    COUNT,
    IDS,
    Artifacts,
    assert_same,
    by_stages,
    load_case,
    ready,
    user_of,
)


@pytest.fixture(scope="module", params=["plain", "pairs", "outputs"])
def artifact(request: pytest.FixtureRequest, artifacts: Artifacts) -> Path:
    return artifacts[request.param]


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
    ranker, user, want = ready(artifact, left)
    for _ in range(3):
        assert_same(call(ranker.rank, user, IDS), want)
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
    ranker, user, want = ready(artifact, left)
    with pytest.raises(TypeError) as of_method:
        runtime.Ranker.rank(ranker, *given, **named)
    for _ in range(2):
        with pytest.raises(TypeError) as error:
            ranker.rank(*given, **named)
        assert str(error.value) == str(of_method.value)
        assert_same(ranker.rank(user, IDS), want)


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 300])
def test_all_outputs_of_any_count(artifact: Path, left: list[str], count: int) -> None:
    ranker, user, _ = ready(artifact, left)
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
    ranker, user, want = ready(artifact, left)
    inner: list[np.ndarray] = []
    _Name.compared = staticmethod(lambda: inner.append(ranker.rank(user, IDS[:3])["ctr"]))
    given = {_Name(name): value for name, value in user.items()}
    for _ in range(2):
        assert_same(ranker.rank(given, IDS), want)
    assert len(inner) >= 2 * len(user)
    for found in inner:
        np.testing.assert_array_equal(found, want["ctr"][:3])


def test_keys_that_cannot_be_compared(artifact: Path, left: list[str]) -> None:
    """Another error, or the same, as of the method; none is left behind."""
    ranker, user, want = ready(artifact, left)

    def refuse() -> None:
        raise ArithmeticError("not comparable")

    _Name.compared = staticmethod(refuse)
    given = {_Name(name): value for name, value in user.items()}
    for _ in range(2):
        with pytest.raises(ArithmeticError, match="not comparable"):
            ranker.rank(given, IDS)
        assert_same(ranker.rank(user, IDS), want)


def test_where_there_is_no_memory(artifact: Path, left: list[str]) -> None:
    """Each allocation of the compiled function in turn fails, and the method answers."""
    testing = pytest.importorskip("_testcapi")
    ranker, user, want = ready(artifact, left)
    rank = ranker.rank
    for fails in range(12):
        rank(user, IDS)  # so that there is memory of the request's own
        testing.set_nomemory(fails, fails + 1)
        try:
            found = rank(user, IDS)
        finally:
            testing.remove_mem_hooks()
        assert_same(found, want)
    assert left
    left.clear()
    assert_same(rank(user, IDS), want)
    assert left == []


def test_nothing_is_kept_of_a_request(artifact: Path, left: list[str]) -> None:
    """As counts of references, and of memory that is given back."""
    ranker, user, _ = ready(artifact, left)
    assert ranker._ranking is not None
    found = ranker.rank(user, IDS)
    counts = [sys.getrefcount(found), sys.getrefcount(found["ctr"])]
    assert counts == [2, 2]
    assert found["ctr"].base is None and found["ctr"].flags.writeable
    watched = [user, IDS, IDS[0], ranker._ranking.items.state, found["ctr"].dtype, None]
    before = [sys.getrefcount(one) for one in watched]
    for _ in range(100):
        ranker.rank(user, IDS)
        ranker.rank(user, items=IDS, context=None)
        with pytest.raises(runtime.UnknownItemError):
            ranker.rank(user, ["never"])
    after = [sys.getrefcount(one) for one in watched]
    assert all(abs(a - b) < 20 for a, b in zip(after, before, strict=True))
    assert len(ranker._ranking._idle) == 1


def test_a_ranker_goes_with_its_last_reference(artifact: Path) -> None:
    """No cycle keeps it: items may be large."""
    ranker = load_case(artifact)
    ranker.rank(user_of(ranker), IDS)
    assert ranker._ranking is not None
    gone = weakref.ref(ranker), weakref.ref(ranker._ranking.items.state)
    gc.disable()
    try:
        del ranker
        assert [one() for one in gone] == [None, None]
    finally:
        gc.enable()


def test_the_function_outlives_its_ranker(artifact: Path, left: list[str]) -> None:
    ranker, user, want = ready(artifact, left)
    rank = ranker.rank
    del ranker
    gc.collect()
    for _ in range(3):
        assert_same(rank(user, IDS), want)
    assert left == []


def test_a_subclass_has_its_own(artifact: Path) -> None:
    class Doubled(runtime.Ranker):
        def rank(self, *given: Any, **named: Any) -> dict[str, Any]:
            return {name: 2 * array for name, array in super().rank(*given, **named).items()}

    ranker = load_case(artifact)
    user = user_of(ranker)
    other = Doubled(ranker._artifact, ranker._module)
    other.items.upsert(items(COUNT), key="id")
    want = 2 * ranker.rank(user, IDS)["ctr"]
    np.testing.assert_array_equal(other.rank(user, IDS)["ctr"], want)
