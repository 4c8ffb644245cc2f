"""`Ranker.rank` as a compiled function, while its request, the items, or other threads go on."""

from __future__ import annotations

import gc
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

from rtcompile import runtime
from rtcompile.runtime.abi.rank import Current
from rtcompile.runtime.request.ranking import Ranking
from tests.ranking_model import items
from tests.runtime.served_models import (
    IDS,
    Artifacts,
    assert_same,
    by_stages,
    load_case,
    ready,
    set_brief,
    user_of,
)


@pytest.fixture(scope="module", params=["plain", "pairs", "outputs"])
def artifact(request: pytest.FixtureRequest, artifacts: Artifacts) -> Path:
    return artifacts[request.param]


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
    ranker, user, _ = ready(artifact, left)
    ids, changes = list(IDS), [change]
    with _at_collections(lambda: changes and changes.pop()(ids)):
        got = ranker.rank(user, ids)["ctr"]
    assert changes == [] and ids != IDS
    np.testing.assert_array_equal(got, by_stages(artifact).rank(user, ids)["ctr"])


@_WITHIN_CALLS
def test_items_that_are_replaced_meanwhile(artifact: Path, left: list[str]) -> None:
    """The request holds those that it began with."""
    ranker, user, want = ready(artifact, left)
    assert ranker._ranking is not None
    gone, changes = weakref.ref(ranker._ranking.items.state), [items(5)]
    with _at_collections(lambda: changes and ranker.items.replace(changes.pop(), key="id")):
        got = ranker.rank(user, IDS)["ctr"]
    np.testing.assert_array_equal(got, want["ctr"])
    assert changes == [] and left == [] and gone() is None
    assert len(ranker.items) == 5
    with pytest.raises(runtime.UnknownItemError, match="'i5'"):
        ranker.rank(user, IDS)


def test_while_items_are_exchanged_the_method_answers(artifact: Path, left: list[str]) -> None:
    ranker, user, want = ready(artifact, left)
    assert ranker._ranking is not None
    current = ranker._ranking.items._current
    version, current[Current.VERSION] = current[Current.VERSION], 0
    assert_same(ranker.rank(user, IDS), want)
    assert left == ["left"]
    current[Current.VERSION] = version
    assert_same(ranker.rank(user, IDS), want)
    assert left == ["left"]


def test_many_threads(artifact: Path, left: list[str]) -> None:
    """Each has memory of its own, and gives it back."""
    ranker, user, want = ready(artifact, left)
    assert ranker._ranking is not None
    set_brief(ranker, 0)  # so that all give up Python's lock
    wrong: list[object] = []

    def ask() -> None:
        for _ in range(300):
            if not np.array_equal(ranker.rank(user, IDS)["ctr"], want["ctr"]):
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
    want = ranker.rank(user, IDS)
    assert ranker._ranking is not None and len(ranker._ranking._idle) == 1

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Ranking, "_by_parts", interrupt)
    with pytest.raises(KeyboardInterrupt):
        ranker.rank(user, [*IDS, "never"])
    monkeypatch.undo()
    assert ranker._ranking._idle == []
    assert_same(ranker.rank(user, IDS), want)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_processes_that_are_forked_answer_too(artifact: Path, left: list[str]) -> None:
    """As a service has them that loads before it forks its workers."""
    ranker, user, want = ready(artifact, left)
    set_brief(ranker, 0)
    children, good = [], want["ctr"]
    for _ in range(2):
        child = os.fork()
        if child == 0:
            found = [ranker.rank(user, IDS)["ctr"] for _ in range(20)]
            os._exit(int(left != [] or not all(np.array_equal(one, good) for one in found)))
        children.append(child)
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0]
    assert_same(ranker.rank(user, IDS), want)
