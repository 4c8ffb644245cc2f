"""A context of any form gives what the stages give one after the other, and the same errors."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
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
    context_of,
    ready,
    set_brief,
    user_of,
)

_ROWS = len(IDS)


@pytest.fixture(scope="module", params=["context", "only_context", "all_sides"])
def artifact(request: pytest.FixtureRequest, artifacts: Artifacts) -> Path:
    return artifacts[request.param]


def _table(values: list[Any], dtype: str) -> np.ndarray:
    """The values, as a column among others."""
    table = np.zeros((len(values), 3), dtype)
    table[:, 1] = values
    return table[:, 1]


def _arrays(context: dict[str, Any]) -> dict[str, Any]:
    device = ["" if one is None else one for one in context["device"]]
    return {
        "position": np.array(context["position"]),
        "device": np.array(device),
        "bid": np.array(context["bid"], np.float32),
    }


_FORMS: dict[str, tuple[Callable[[Any], Any], bool]] = {
    "lists": (lambda c: c, False),
    "tuples": (lambda c: {name: tuple(values) for name, values in c.items()}, False),
    "another order": (lambda c: dict(reversed(list(c.items()))), False),
    "arrays": (_arrays, False),
    "arrays and lists": (lambda c: {**c, "bid": np.array(c["bid"])}, False),
    "bytes": (lambda c: {**c, "device": _arrays(c)["device"].astype("S")}, False),
    "small integers": (lambda c: {**c, "position": np.array(c["position"], np.int8)}, False),
    "columns of a table": (
        lambda c: {
            "position": _table(c["position"], "u2"),
            "device": _table(["d"] * len(c["device"]), "U5"),
            "bid": _table(c["bid"], "f4"),
        },
        False,
    ),
    "backwards": (lambda c: {name: values[::-1] for name, values in _arrays(c).items()}, False),
    "read only": (lambda c: {**c, "bid": np.broadcast_to(np.float64(1.5), len(c["bid"]))}, False),
    "texts of numbers": (lambda c: {**c, "position": [str(p) for p in c["position"]]}, False),
    "not ASCII": (lambda c: {**c, "device": ["é|ü"] * len(c["device"])}, False),
    "an array of others": (lambda c: {**c, "device": np.array(["é"] * len(c["device"]))}, True),
    "half": (lambda c: {**c, "bid": np.array(c["bid"], np.float16)}, True),
    "another order of bytes": (lambda c: {**c, "bid": np.array(c["bid"], ">f4")}, True),
    "objects": (lambda c: {**c, "device": np.array(c["device"], object)}, True),
    "two axes": (lambda c: {**c, "bid": np.ones((len(c["bid"]), 2))}, True),
    "a mapping": (MappingProxyType, True),
    "numpy's numbers": (lambda c: {**c, "bid": [np.float32(b) for b in c["bid"]]}, True),
}


@pytest.mark.parametrize("form", _FORMS)
def test_contexts_of_any_form(artifact: Path, left: list[str], form: str) -> None:
    make, is_left = _FORMS[form]
    ranker, user, _ = ready(artifact, left)
    given = make(context_of(ranker, _ROWS))
    want = by_stages(artifact).rank(user, IDS, given)
    left.clear()
    for _ in range(3):
        assert_same(ranker.rank(user, IDS, given), want)
    assert_same(ranker.rank(user=user, items=IDS, context=given), want)
    assert left == ["left"] * 4 * is_left


@pytest.mark.parametrize("count", [0, 1, 2, 63, 64, 65, 300])
@pytest.mark.parametrize("form", ["lists", "arrays"])
def test_any_count(artifact: Path, left: list[str], form: str, count: int) -> None:
    ranker, user, _ = ready(artifact, left)
    ids, given = [f"i{i}" for i in range(count)], _FORMS[form][0](context_of(ranker, count))
    want = by_stages(artifact).rank(user, ids, given)
    ranker.rank(user, ids, given)
    left.clear()
    assert_same(ranker.rank(user, ids, given), want)
    assert left == []


@pytest.mark.parametrize(
    "change",
    [
        lambda c: None,
        lambda c: {},
        lambda c: [],
        lambda c: {**c, "more": [1] * _ROWS},
        lambda c: {name: values for name, values in c.items() if name != "bid"},
        lambda c: {**c, "bid": [1.0] * (_ROWS + 1)},
        lambda c: {**c, "bid": np.zeros(_ROWS - 1, np.float32)},
        lambda c: {**c, "bid": 1.0},
        lambda c: {**c, "bid": "text"},
        lambda c: {**c, "bid": np.zeros(())},
        lambda c: {**c, "bid": [{}] * _ROWS},
    ],
)
def test_bad_contexts_are_refused_as_by_stages(
    artifact: Path, left: list[str], change: Callable[[dict[str, Any]], Any]
) -> None:
    ranker, user, _ = ready(artifact, left)
    stages, good = by_stages(artifact), context_of(ranker, _ROWS)
    given, found = change(good), []
    for one in (stages, ranker, ranker):
        with pytest.raises(runtime.RequestError) as error:
            one.rank(user, IDS, given)
        found.append((type(error.value), str(error.value)))
    assert found[0] == found[1] == found[2]
    assert_same(ranker.rank(user, IDS, good), stages.rank(user, IDS, good))
    assert ranker._ranking is not None
    assert len(ranker._ranking._idle) == 1


def test_more_is_read_than_before(artifact: Path, left: list[str]) -> None:
    """Room and scratch grow, and the next request has them."""
    ranker, user, _ = ready(artifact, left)
    stages = by_stages(artifact)
    wide = np.zeros((COUNT, 2), "U900")
    wide[:, 0] = "x|" * 400
    for devices in (["x" * 5000] * COUNT, np.array(["y" * 40_000] * COUNT), wide[:, 0]):
        given = {**context_of(ranker, COUNT), "device": devices}
        ids = [f"i{i}" for i in range(COUNT)]
        want = stages.rank(user, ids, given)
        assert_same(ranker.rank(user, ids, given), want)
        left.clear()
        assert_same(ranker.rank(user, ids, given), want)
        assert left == []
    given = context_of(ranker, _ROWS)
    assert_same(ranker.rank(user, IDS, given), stages.rank(user, IDS, given))


@pytest.mark.parametrize(
    "bid",
    [
        np.broadcast_to(np.float32(1), (1 << 41,)),
        np.zeros(1 << 20, np.float32),
        [1.0] * (1 << 17),
        [1.0] * 3,
    ],
    ids=["repeated", "array", "list", "few"],
)
def test_columns_of_other_lengths_take_no_memory(artifact: Path, left: list[str], bid: Any) -> None:
    ranker, user, want = ready(artifact, left)
    assert ranker._ranking is not None
    features = ranker._ranking._idle[-1][1].served._features[-1]  # type: ignore[union-attr]
    before, good = features.capacity, context_of(ranker, _ROWS)
    given = {**good, "bid": bid, "device": [good["device"][0]] * len(bid[:4])}
    with pytest.raises(runtime.RequestError, match="values for 20 items"):
        ranker.rank(user, IDS, given)
    assert features.capacity == before
    with pytest.raises(runtime.RequestError, match=f"20 values for {50 * _ROWS} items"):
        ranker.rank(user, IDS * 50, good)
    assert_same(ranker.rank(user, IDS, good), want)


class _Changing(dict[str, Any]):
    """Says something else when it is asked again, as a dict that another thread changes."""

    def __getitem__(self, name: str) -> Any:
        found = super().__getitem__(name)
        self[name] = found[:1]
        return found


def test_what_is_checked_is_what_is_encoded(artifact: Path, left: list[str]) -> None:
    ranker, user, want = ready(artifact, left)
    for form in (_arrays, dict):
        given = MappingProxyType(_Changing(form(context_of(ranker, _ROWS))))
        assert_same(ranker.rank(user, IDS, given), want)


def test_nothing_is_kept_of_a_context(artifact: Path, left: list[str]) -> None:
    ranker, user, _ = ready(artifact, left)
    given = _arrays(context_of(ranker, _ROWS))
    wrong = {**given, "bid": given["bid"][1:]}
    watched = [user, given, *given, *given.values(), np.ndarray, given["bid"].dtype]
    assert ranker._ranking is not None
    watched.append(ranker._ranking.items.state.store.snapshot)
    before = [sys.getrefcount(one) for one in watched]
    for _ in range(100):
        ranker.rank(user, IDS, given)
        with pytest.raises(runtime.RequestError):
            ranker.rank(user, IDS, wrong)
    after = [sys.getrefcount(one) for one in watched]
    assert all(abs(a - b) < 20 for a, b in zip(after, before, strict=True))
    assert len(ranker._ranking._idle) == 1


def test_where_there_is_no_memory(artifact: Path, left: list[str]) -> None:
    """Each allocation of the compiled function in turn fails, and the method answers."""
    testing = pytest.importorskip("_testcapi")
    ranker, user, _ = ready(artifact, left)
    given = context_of(ranker, _ROWS)
    want, rank = ranker.rank(user, IDS, given), ranker.rank
    for fails in range(12):
        rank(user, IDS, given)
        testing.set_nomemory(fails, fails + 1)
        try:
            found = rank(user, IDS, given)
        finally:
            testing.remove_mem_hooks()
        assert_same(found, want)
    assert left


def test_arrays_may_change_once_they_are_read(artifact: Path, left: list[str]) -> None:
    """Threads that ask with arrays of their own, and overwrite them after each answer, while items
    are inserted."""
    ranker, user, _ = ready(artifact, left)
    set_brief(ranker, 0)  # so that all give up Python's lock
    stages, good = by_stages(artifact), _arrays(context_of(ranker, _ROWS))
    wanted = [stages.rank(user, IDS, {**good, "bid": good["bid"] + n})["ctr"] for n in range(4)]
    wrong: list[int] = []

    def ask(number: int) -> None:
        for _ in range(200):
            given = {**good, "bid": good["bid"] + number}
            if not np.array_equal(ranker.rank(user, IDS, given)["ctr"], wanted[number]):
                wrong.append(number)
            given["bid"][:] = -1

    asking = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in asking:
        thread.start()
    for count in range(COUNT, COUNT + 400, 20):
        ranker.items.upsert(items(count), key="id")
    for thread in asking:
        thread.join()
    assert wrong == []
    gc.collect()


def test_columns_of_arrow_and_of_frames(artifacts: Artifacts) -> None:
    """Read as upsert reads them."""
    pyarrow, pandas = pytest.importorskip("pyarrow"), pytest.importorskip("pandas")
    ranker = by_stages(artifacts["all_sides"])
    user, context = user_of(ranker), context_of(ranker, _ROWS)
    wanted = ranker.rank(user, IDS, context)
    device = pyarrow.array(context["device"])
    for column in (
        device,
        device.dictionary_encode(),
        pyarrow.chunked_array([device[:3], device[3:]]),
        pandas.Series(context["device"], dtype="category"),
        pandas.Series(context["device"], dtype="string"),
    ):
        assert_same(ranker.rank(user, IDS, {**context, "device": column}), wanted)
    bid = pyarrow.array(context["bid"])
    assert_same(ranker.rank(user, IDS, {**context, "bid": bid}), wanted)
    dates = pyarrow.array([0] * _ROWS, pyarrow.date32())
    with pytest.raises(runtime.RequestError, match=r"'bid'.*date32\[day\] is not a value"):
        ranker.rank(user, IDS, {**context, "bid": dates})
