"""What is kept of items for the features that read them together with the user's."""

from __future__ import annotations

from typing import Any

import pytest

from rtcompile.runtime.encoding.column_store import ColumnStore
from tests.runtime.served_models import Artifacts, load_case


@pytest.fixture
def specs(artifacts: Artifacts) -> Any:
    return load_case(artifacts["pairs"]).items._specs


@pytest.mark.parametrize(
    ("column", "value", "least"),
    [
        ("words", "a" * 500, 500),
        ("pair", list(range(1000)), 1000 + 2890),  # values, and their digits
        ("price", [1.0] * 300, 300),
    ],
)
def test_the_longest_item_is_known(specs: Any, column: str, value: Any, least: int) -> None:
    store = ColumnStore(specs)
    short: dict[str, Any] = {"words": "a", "pair": [1, 2], "price": 2.0}
    names = [spec.name for spec in specs]
    store.append({name: [short[name], short[name]] for name in names}, 2)
    assert 2 <= store.snapshot.longest < 10
    store.append({name: [short[name]] for name in names} | {column: [value]}, 1)
    assert least <= store.snapshot.longest < least + 20
    store.append({name: [short[name]] for name in names}, 1)
    assert store.snapshot.longest >= least
