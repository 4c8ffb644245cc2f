"""The item table: ids as they come, refusals that name the item, and forks meanwhile."""

from __future__ import annotations

import enum
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rtcompile import runtime
from tests.ranking_model import items
from tests.runtime.served_models import Artifacts, user_of


class _Id(str, enum.Enum):
    FIRST = "242"


class _Number(enum.IntEnum):
    SECOND = 2


@pytest.fixture
def ranker(artifacts: Artifacts) -> runtime.Ranker:
    loaded = runtime.load(artifacts["plain"])
    loaded.items.upsert({**items(4), "id": ["242", "2", "4", "i3"]}, key="id")
    return loaded


@pytest.mark.parametrize("one", ["242", 242, np.int64(242), b"242", _Id.FIRST])
def test_a_single_id_is_one_item(ranker: runtime.Ranker, one: object) -> None:
    assert ranker.items.delete(one) == 1
    assert ranker.items.ids() == ["2", "4", "i3"]


@pytest.mark.parametrize(
    "ids",
    [["242", 2], ("242", 2), {"242", 2}, iter(["242", "2"]), np.array([242, 2]), ["242", "2", "z"]],
)
def test_several_ids(ranker: runtime.Ranker, ids: Any) -> None:
    assert ranker.items.delete(ids) == 2
    assert ranker.items.ids() == ["4", "i3"]


@pytest.mark.skipif(not hasattr(np.dtypes, "StringDType"), reason="a numpy without such texts")
def test_texts_of_any_length_of_numpy(ranker: runtime.Ranker) -> None:
    ids = np.array(["i0", "a longer one than others", "i2", "i3"], np.dtypes.StringDType())
    assert ranker.items.upsert({**items(4), "id": ids}, key="id") == 4
    assert set(ids.tolist()) <= set(ranker.items.ids())
    wanted = ranker.rank(user_of(ranker), ids.tolist())
    found = ranker.rank(user_of(ranker), ids)
    assert all(found[name].tobytes() == values.tobytes() for name, values in wanted.items())
    assert ranker.items.delete(ids) == 4


def test_what_is_no_id_deletes_nothing(ranker: runtime.Ranker) -> None:
    given: list[Any] = [None, 1.5, {"242": 1}, [None], ["2", 1.5], [["2"]], [10**5000], [True]]
    # A view of bytes iterates as numbers, an iterator may raise anything.
    given += [memoryview(b"\2"), np.array("242"), (1 / 0 for _ in "2")]
    for ids in given:
        with pytest.raises(runtime.RequestError, match="id"):
            ranker.items.delete(ids)
    assert len(ranker.items) == 4


@pytest.mark.parametrize("call", ["rank", "extract"])
@pytest.mark.parametrize("one", ["242", 242, b"242"])
def test_a_request_takes_a_list_of_ids(ranker: runtime.Ranker, call: str, one: object) -> None:
    with pytest.raises(runtime.RequestError, match=r"items: a list of ids, not \w+: \[b?'?242"):
        getattr(ranker, call)(user_of(ranker), one)


def test_subclasses_of_text_and_integer_are_the_ids_that_they_are(ranker: runtime.Ranker) -> None:
    user = user_of(ranker)
    got = ranker.rank(user, [_Id.FIRST, _Number.SECOND])["ctr"]
    np.testing.assert_array_equal(got, ranker.rank(user, ["242", "2"])["ctr"])
    assert _Id.FIRST in ranker.items


def test_many_unknown_ids_make_a_short_message(ranker: runtime.Ranker) -> None:
    unknown = [f"{i}" * 20 for i in range(10**5, 10**5 + 1000)]
    with pytest.raises(runtime.UnknownItemError, match="and 995 more are not in") as found:
        ranker.rank(user_of(ranker), ["2", *unknown])
    assert len(str(found.value)) < 1000
    with pytest.raises(runtime.RequestError, match="no item id") as refused:
        ranker.rank(user_of(ranker), [unknown])  # type: ignore[list-item]
    assert len(str(refused.value)) < 1000


def test_many_unknown_fields_make_a_short_message(ranker: runtime.Ranker) -> None:
    fields = {**user_of(ranker), **{f"field_{i}" * 50: 1 for i in range(1000)}}
    with pytest.raises(runtime.RequestError, match="995 more that are unknown") as found:
        ranker.rank(fields, ["2"])
    assert len(str(found.value)) < 2000


@pytest.mark.parametrize("write", ["upsert", "replace"])
def test_a_refused_item_is_named(ranker: runtime.Ranker, write: str) -> None:
    table = {**items(40), "price": [1, *[2] * 36, object(), 3, object()]}
    with pytest.raises(runtime.RequestError, match=r"row 37, item 'i37': .*'price'"):
        getattr(ranker.items, write)(table, key="id")
    table = {**items(40), "item_id": [*range(19), 77, *range(20)]}
    with pytest.raises(runtime.UnknownIdError, match=r"row 19, item 'i19': .*77"):
        getattr(ranker.items, write)(table, key="id")
    assert len(ranker.items) == 4


@pytest.mark.parametrize("column", ["words", b"words", {"a": 1}, 7, None, np.array(7)])
def test_a_column_is_a_list_of_values(ranker: runtime.Ranker, column: object) -> None:
    with pytest.raises(runtime.RequestError, match="column 'price' is not a list of values"):
        ranker.items.upsert({**items(5), "price": column}, key="id")


class _Promising:
    """Says that it has five values, and has one."""

    def __len__(self) -> int:
        return 5

    def __getitem__(self, place: object) -> object:
        return [1] if isinstance(place, slice) else 1

    def __iter__(self) -> Any:
        return iter([1])


def test_values_are_counted_not_promised(ranker: runtime.Ranker) -> None:
    with pytest.raises(runtime.RequestError, match="columns of different lengths"):
        ranker.items.upsert({**items(5), "price": _Promising()}, key="id")


def test_raw_values_of_subclasses_are_kept_as_what_they_are(ranker: runtime.Ranker) -> None:
    row = {name: values[1] for name, values in items(2).items()}
    ranker.items.upsert([{**row, "id": "e", "words": _Id.FIRST, "price": _Number.SECOND}], key="id")
    kept = ranker.items.raw(["e"])
    assert kept["words"] == ["242"] and type(kept["words"][0]) is str
    assert kept["price"] == [2] and type(kept["price"][0]) is int


def _in_child(act: Callable[[], bool], seconds: float = 20) -> bool:
    """Whether a forked process is done with it in time, and says so."""
    child = os.fork()
    if child == 0:
        signal.alarm(int(seconds))
        done = False
        try:
            done = act()
        finally:
            os._exit(0 if done else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_fork_while_another_thread_upserts(ranker: runtime.Ranker) -> None:
    """The child has an item table that is whole, and that it can change."""
    table, stop = items(300), threading.Event()
    columns = {name: values[:7] for name, values in table.items()}
    ranker.items.upsert(table, key="id")
    user = user_of(ranker)
    want = ranker.rank(user, table["id"])["ctr"]

    def upsert() -> None:
        while not stop.is_set():
            ranker.items.upsert(table, key="id")

    def act() -> bool:
        ranker.items.upsert({**columns, "id": [f"n{i}" for i in range(7)]}, key="id")
        got = ranker.rank(user, [*table["id"], *(f"n{i}" for i in range(7))])["ctr"]
        return bool(np.array_equal(got, np.concatenate([want, want[:7]])))

    thread = threading.Thread(target=upsert)
    thread.start()
    try:
        for _ in range(12):
            assert _in_child(act)
            time.sleep(0.002)
    finally:
        stop.set()
        thread.join()
    assert ranker.items.upsert(columns, key="id") == 7  # the parent goes on, too
