"""Requests to a ranking model to verify on: generated ones, and real rows where given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rtcompile.codegen.program.program import TILE
from rtcompile.features.edge_rows import EDGES, set_edge
from rtcompile.features.generate import generate_columns
from rtcompile.features.plan import FeaturePlan, Side

__all__ = ["Columns", "Request", "generated_requests", "real_requests"]

# How many items -> what is out of the ordinary in the user.
_ITEM_COUNTS = {1: "empty", 7: "missing", TILE: "", TILE + 37: "full"}
_REAL_REQUESTS = 50

Columns = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Request:
    """Raw columns by side, of a user one row, of items and context `count`.

    `kinds`: what is out of the ordinary in each item's row, "" for nothing.
    """

    sides: Mapping[Side, Columns]
    count: int
    kinds: tuple[str, ...]

    @property
    def user(self) -> dict[str, Any]:
        """Field -> value."""
        return {name: values[0] for name, values in self.sides[Side.USER].items()}


def generated_requests(plan: FeaturePlan) -> Iterator[Request]:
    """At item counts around the size of a tile, with users and items at the edges of values."""
    for count, user in _ITEM_COUNTS.items():
        rng = np.random.default_rng(count)
        sides = {
            side: generate_columns(plan, side, 1 if side is Side.USER else count, rng)
            for side in (Side.USER, Side.ITEM, Side.CONTEXT)
        }
        kinds = [""] * count
        if user:
            set_edge(plan, Side.USER, sides[Side.USER], 0, user, rng)
            places = (0, *range(count - len(EDGES) + 1, count))
            for row, edge in zip(places, EDGES, strict=True) if count > len(EDGES) else ():
                kinds[row] = f"{edge} values"
                for side in (Side.ITEM, Side.CONTEXT):
                    set_edge(plan, side, sides[side], row, edge, rng)
        yield Request(sides, count, tuple(kinds))


def real_requests(plan: FeaturePlan, rows: Columns | None) -> Iterator[Request]:
    """The first rows of real data, each a request of one item."""
    if not rows:
        return
    for row in range(min(len(next(iter(rows.values()))), _REAL_REQUESTS)):
        yield Request(
            {side: {name: [rows[name][row]] for name in plan.columns(side)} for side in Side},
            1,
            ("",),
        )
