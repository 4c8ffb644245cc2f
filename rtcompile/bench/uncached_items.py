"""An item table that keeps raw fields only, to measure what keeping results gains.

It reaches into the runtime's private parts: nothing but a measurement replaces the table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from rtcompile import runtime
from rtcompile.runtime.encoding.column_store import ColumnStore
from rtcompile.runtime.items.item_index import ItemPlaces
from rtcompile.runtime.items.item_table import ItemTable, Snapshot
from rtcompile.runtime.memory.input_table import address

__all__ = ["without_item_cache"]


def without_item_cache(ranker: runtime.Ranker) -> runtime.Ranker:
    """`ranker`, changed: in each request the item stage runs over the items it ranks."""
    ranking = ranker._with_features("bench")
    ranking.items = _RawItems(ranking.items)  # type: ignore[assignment]
    ranking.at_once = False
    vars(ranker).pop("rank", None)  # the compiled one, which reads the table by itself
    return ranker


class _RawItems:
    """Stands in the place of an item table. Raw values are at hand as Python's own."""

    def __init__(self, table: ItemTable) -> None:
        self._table = table
        ids = table.ids()
        columns = table.raw(ids)
        self._names = tuple(columns)
        self._rows = {
            item: tuple(columns[name][row] for name in self._names) for row, item in enumerate(ids)
        }

    def snapshot(self, items: Sequence[Any], places: ItemPlaces) -> Snapshot:
        """As `ItemTable.snapshot`; its arrays hold the rows of this request."""
        rows = [self._rows[item] for item in items]
        columns = self._columns(rows)
        computed = self._table._compute(columns, len(rows))
        store = ColumnStore(self._table._specs)
        store.append(columns, len(rows))
        places.set(range(len(rows)))
        state: Any = SimpleNamespace(  # what a request reads of one
            addresses=np.array([address(array) for array in computed], np.int64),
            index=SimpleNamespace(address=0),
            store=store,
            arrays=computed,
            version=0,
        )
        return Snapshot(places, state, store.snapshot)

    def _columns(self, rows: Sequence[tuple[Any, ...]]) -> Mapping[str, Sequence[Any]]:
        return dict(zip(self._names, map(list, zip(*rows, strict=True)), strict=True))
