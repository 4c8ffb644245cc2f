"""Counts of defaulted and unparsed values, and strict rankers, by every route of a request."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtcompile import runtime
from tests.ranking_model import items
from tests.runtime.served_models import IDS, Artifacts, by_stages, context_of, load_case, user_of

pytestmark = pytest.mark.slow

COUNT = 20


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Artifacts(tmp_path_factory)["all_sides"]


def _strict(artifact: Path, threads: int = 1) -> runtime.Ranker:
    ranker = runtime.load(artifact, threads, strict=True)
    ranker.items.upsert(items(COUNT), key="id")
    return ranker


def _since(ranker: runtime.Ranker, call: Callable[[], object]) -> dict[str, dict[str, int]]:
    """What a call adds to the counters, without the features that it does not change."""
    before = ranker.counters()
    call()
    now = ranker.counters()
    more = {f: {k: n - before[f][k] for k, n in counts.items()} for f, counts in now.items()}
    return {feature: counts for feature, counts in more.items() if any(counts.values())}


ROUTES: dict[str, Callable[[Path], runtime.Ranker]] = {
    "compiled": load_case,
    "by stages": by_stages,
    "threads": lambda artifact: load_case(artifact, 2),
}


@pytest.mark.parametrize("route", ROUTES)
def test_counts_of_a_request(artifact: Path, route: str) -> None:
    ranker = ROUTES[route](artifact)

    def score(**changes: Any) -> dict[str, dict[str, int]]:
        user, context = user_of(ranker, **changes), context_of(ranker, len(IDS))
        for _ in range(40):  # until compiled code answers by itself
            ranker.rank(user, IDS, context)
        one = _since(ranker, lambda: ranker.rank(user, IDS, context))
        assert _since(ranker, lambda: ranker.rank(user, list(map(np.str_, IDS)), context)) == one
        return one

    plain = score()
    assert "age" not in plain
    # The user's map has no key of the items without words: every other one.
    assert plain["seen"] == {"defaulted": 10, "unparsed": 0}
    assert score(age=None)["age"] == {"defaulted": 1, "unparsed": 0}
    assert score(age="forty")["age"] == {"defaulted": 1, "unparsed": 1}
    assert score(age=" 41 ").get("age") is None
    found = score(seen="red:x\x1dgreen:2")["seen"]
    assert found == {"defaulted": 10, "unparsed": 10}
    found = score(seen="red=1\x1dgreen=2")["seen"]
    assert found == {"defaulted": 20, "unparsed": 20}
    assert score(nested="red-0:4")["brand"]["unparsed"] > 0
    hist = score(hist__item_id=[1, "x", None])["hist__item_id"]
    assert hist == {"defaulted": 2, "unparsed": 1}
    # Beside two sequences of three elements each.
    assert score(hist__price=[1.5, 2])["hist__price"] == {"defaulted": 0, "unparsed": 1}
    assert score(hist__price=[])["hist__price"] == {"defaulted": 1, "unparsed": 0}


def test_extraction_and_many_threads_count_too(artifact: Path) -> None:
    ranker = load_case(artifact)
    user, context = user_of(ranker, age="forty"), context_of(ranker, len(IDS))
    found = _since(ranker, lambda: ranker.extract(user, IDS, context))
    assert found["age"] == {"defaulted": 1, "unparsed": 1}
    with ThreadPoolExecutor(4) as pool:
        whole = _since(
            ranker,
            lambda: list(pool.map(lambda _: ranker.rank(user, IDS, context), range(50))),
        )
    assert whole["age"] == {"defaulted": 50, "unparsed": 50}
    assert whole["seen"] == {"defaulted": 500, "unparsed": 0}


def test_items_are_counted_once(artifact: Path) -> None:
    ranker = runtime.load(artifact)
    table = items(300)
    table["price"][7], table["size"][3] = "cheap", [1.0, "two", None]
    table["item_id"][5] = None
    found = _since(ranker, lambda: ranker.items.upsert(table, key="id"))
    assert found["price"] == {"defaulted": 1, "unparsed": 1}
    assert found["size"] == {"defaulted": 2, "unparsed": 1}
    assert found["item_id"] == {"defaulted": 1, "unparsed": 0}
    # The context's `ratio` reads the price too, and finds none.
    assert found["ratio"] == {"defaulted": 0, "unparsed": 1}
    # The table grows: what it holds is encoded anew, and not counted again.
    more = {name: values[:] for name, values in items(600).items()}
    more["id"] = [f"j{i}" for i in range(600)]
    assert "ratio" not in _since(ranker, lambda: ranker.items.upsert(more, key="id"))


@pytest.mark.parametrize("threads", [1, 2])
def test_a_strict_ranker_names_feature_row_and_value(artifact: Path, threads: int) -> None:
    ranker = _strict(artifact, threads)
    good, context = user_of(ranker), context_of(ranker, len(IDS))
    want = ranker.rank(good, IDS, context)["ctr"]
    cases: list[tuple[dict[str, Any], str]] = [
        ({"age": "forty"}, "feature 'age': user field 'age', row 0: 'forty' cannot be read"),
        ({"seen": "red:x\x1dgreen:2"}, "feature 'seen': row 1: 'x' cannot be read"),
        ({"seen": "red=1"}, "feature 'seen': row 1: 'red=1' cannot be read"),
        ({"nested": "red-0:4"}, "feature 'brand': row 1: 'red-0:4' cannot be read"),
        ({"hist__item_id": [1, "x", 2]}, "feature 'hist__item_id': row 0: 'x' cannot be read"),
        ({"hist__price": [1, 2]}, "feature 'hist__price': row 0: 2 elements beside 3 of what"),
    ]
    for _ in range(40):
        for changes, message in cases:
            with pytest.raises(runtime.RequestError, match=message):
                ranker.rank(user_of(ranker, **changes), IDS, context)
        np.testing.assert_array_equal(ranker.rank(good, IDS, context)["ctr"], want)
    late = {**context, "position": [0] * 13 + ["x"] * 7}
    with pytest.raises(runtime.RequestError, match="feature 'position': row 13: 'x' cannot"):
        ranker.rank(good, IDS, late)
    # What is missing is no error.
    ranker.rank(user_of(ranker, age=None, seen=None, nested=None), IDS, context)
    assert ranker.counters()["age"]["defaulted"] == 1


def test_a_strict_ranker_refuses_items_by_their_ids(artifact: Path) -> None:
    ranker = _strict(artifact)
    table = items(COUNT)
    for field, value in (("price", "cheap"), ("item_id", "x")):
        bad = {**table, field: [*table[field][:7], value, *table[field][8:]]}
        with pytest.raises(runtime.RequestError, match=f"item 'i7'.*{value}' cannot be read"):
            ranker.items.upsert(bad, key="id")
    assert len(ranker.items) == COUNT
