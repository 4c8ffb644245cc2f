"""The index of items says what a dict of their texts does, whatever the ids."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtcompile.runtime.abi.item_index import ITEM_INDEX, Action, IdList, IdsOutcome
from rtcompile.runtime.items.item_index import ItemIndex, ItemPlaces, item_key
from tests.runtime.functions import value_functions

_CAPACITY = 4000
_KEY = (
    st.text("ab", max_size=3)
    | st.text(max_size=40)
    | st.integers(-20, 20).map(str)
    | st.text("xyz", min_size=14, max_size=18)
)
_ID = (
    _KEY
    | st.integers(-20, 20)
    | st.integers()
    | st.integers(-20, 20).map(np.int64)
    | _KEY.filter(lambda text: "\ud800" not in text).map(
        lambda text: text.encode("utf-8", "replace")
    )
    | st.just("\ud800")
)
_STEP = (
    st.tuples(st.just("enter"), st.lists(_KEY, max_size=6))
    | st.tuples(st.just("remove"), st.lists(_ID, max_size=6))
    | st.tuples(st.just("find"), st.lists(_ID, max_size=6))
)


def _index(capacity: int = _CAPACITY) -> ItemIndex:
    return ItemIndex(value_functions()[ITEM_INDEX], capacity)


@pytest.fixture(params=["objects", "bytes"])
def reads(request: pytest.FixtureRequest) -> Iterator[None]:
    """With and without compiled code that reads Python's objects."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "bytes":
            patch.setattr("rtcompile.runtime.items.item_index.python_objects", lambda: None)
        yield


def _found(index: ItemIndex, ids: Sequence[object], places: ItemPlaces | None = None) -> list[int]:
    places = places or ItemPlaces()
    missing = index.find(ids, places)
    found: list[int] = places.values.tolist()
    assert places.count == len(ids)
    assert missing == sum(place < 0 for place in found)
    return found


@settings(max_examples=150)
@given(steps=st.lists(_STEP, max_size=12))
def test_as_a_dict(steps: list[tuple[str, list[Any]]]) -> None:
    index, wanted, first, places = _index(), dict[str, int](), 0, ItemPlaces()
    for what, ids in steps:
        keys = list(map(item_key, ids))
        if what == "enter":
            index.enter(ids, first)
            wanted.update(zip(ids, range(first, first + len(ids)), strict=True))
            first += len(ids)
        elif what == "remove":
            had = [wanted.pop(key, None) for key in keys]
            assert index.remove(ids) == sum(place is not None for place in had)
        else:
            assert _found(index, ids, places) == [wanted.get(key, -1) for key in keys]
            assert _found(index, tuple(ids), places) == [wanted.get(key, -1) for key in keys]
        assert len(index) == len(wanted)
    ids, found = index.live()
    assert dict(zip(ids, found.tolist(), strict=True)) == wanted
    assert found.tolist() == sorted(found.tolist())


@pytest.mark.usefixtures("reads")
@pytest.mark.parametrize("count", [0, 1, 64, 65, 3000])
def test_any_number_of_ids(count: int) -> None:
    index = _index()
    keys = [f"{'item' * (k % 9)}{k}" for k in range(count)]
    index.enter(keys, 0)
    assert _found(index, keys[::-1]) == list(range(count))[::-1]
    assert _found(index, [f"{key}?" for key in keys]) == [-1] * count
    assert index.live()[0] == keys


@pytest.mark.usefixtures("reads")
def test_numbers_are_their_texts() -> None:
    index = _index()
    numbers = [0, 7, -7, 1 << 31, -(1 << 31), 1 << 40, 1 << 59, 1 << 62, -(1 << 63), 1 << 70]
    index.enter(list(map(str, numbers)), 0)
    wanted = list(range(len(numbers)))
    assert _found(index, numbers) == wanted
    assert _found(index, [np.int64(n) for n in numbers[:9]]) == wanted[:9]
    assert _found(index, [str(n).encode() for n in numbers]) == wanted
    assert _found(index, ["07", "+7", "7 ", "-0"]) == [-1] * 4


@pytest.mark.usefixtures("reads")
@pytest.mark.parametrize(
    "value",
    [None, True, 1.0, ["a"], object(), np.bool_(True)],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_id(value: object) -> None:
    index = _index()
    index.enter(["1", "True", "a"], 0)
    for ids in ([value], ["a", value], [7, value, "a"]):
        with pytest.raises(TypeError, match="is no item id"):
            index.find(ids, ItemPlaces())
    assert _found(index, ["a"]) == [2]


def test_an_id_that_comes_back() -> None:
    index = _index()
    index.enter(["a", "b", "a"], 0)
    assert (_found(index, ["a", "b"]), len(index)) == ([2, 1], 2)
    assert index.remove(["a", "a", "c"]) == 1
    assert (_found(index, ["a", "b"]), len(index)) == ([-1, 1], 1)
    index.enter(["a"], 3)
    assert (_found(index, ["a", "b"]), len(index)) == ([3, 1], 2)


def test_it_holds_as_many_ids_as_it_says() -> None:
    for capacity in (0, 1, 2, 3, 64, 100):
        index = _index(capacity)
        keys = [f"k{k}" for k in range(capacity)]
        index.enter(keys, 0)
        assert _found(index, keys) == list(range(capacity))
        assert _found(index, ["other"]) == [-1]


@pytest.mark.parametrize("spare", range(0, 48, 3))
def test_ids_that_just_fit_are_read_by_compiled_code(spare: int) -> None:
    index, places = _index(), ItemPlaces()
    capacity = places.words[IdList.END] - places.words[IdList.BEGIN]
    ids = ["x" * 32 for _ in range((capacity - 5 - spare) // 37)]
    ids.append("y" * (capacity - 5 - spare - 37 * len(ids) - 5))
    assert index.find(ids, places) == len(ids)  # grows where it must
    index._run(Action.FIND, ids, places)
    index._function(Action.FIND, id(ids), 0, places.words_at, index.address)
    assert places.words[IdList.OUTCOME] == IdsOutcome.DONE


def test_texts_of_any_size() -> None:
    index = _index()
    keys = ["x" * size for size in range(200)] + ["x" * 100_000, "x" * 100_001]
    index.enter(keys, 0)
    assert _found(index, keys) == list(range(len(keys)))
    assert _found(index, ["x" * 99_999, "x" * 100_000 + "y"]) == [-1, -1]
