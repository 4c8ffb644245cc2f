"""EasyRec Processor's published model 2: 306 id, 77 raw, 60 lookup and 1,000 match features.

Published: the counts of features by type, 150 items and 500 KB a request. Chosen here: dimensions,
tables and an MLP of 512-256-128.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rtcompile.models.workloads.design import Design, Request
from rtcompile.models.workloads.fields import (
    Feature,
    id_feature,
    lookup_feature,
    map_text,
    match_feature,
    nested_text,
    numbers,
    raw_feature,
    words,
)
from rtcompile.models.workloads.network import Network, seeded
from rtcompile.models.workloads.scale import FULL, Scale

__all__ = ["ep2"]

_DIMENSION, _MATCHED = 8, 4
_KINDS, _ENTRIES, _OUTER, _INNER = 40, 6, 6, 8
_ITEMS, _REQUESTS = 600, 6
_KEYS = 16  # fields of an item that maps are looked up by


def ep2(scale: Scale = FULL, seed: int = 0) -> Design:
    """The design at a scale."""
    model, rng = _Model(scale), seeded(seed, "ep2")
    return Design(
        "ep2",
        seed,
        model.features(),
        model.network,
        {},
        model.items(rng),
        [Request(model.user(rng), {}) for _ in range(scale.count(_REQUESTS))],
        (scale.count(150),),
    )


class _Model:
    def __init__(self, scale: Scale) -> None:
        self._scale = scale
        self._user_ids = [f"user_id_{k}" for k in range(scale.count(206))]
        self._item_ids = [f"item_id_{k}" for k in range(scale.count(100))]
        self._user_raws = [f"user_raw_{k}" for k in range(scale.count(40))]
        self._item_raws = [f"item_raw_{k}" for k in range(scale.count(37))]
        self._lookups = [f"lookup_{k}" for k in range(scale.count(60))]
        self._matches = [f"match_{k}" for k in range(scale.count(700))]
        self._discrete = [f"match_id_{k}" for k in range(scale.count(300))]
        self._keys = self._item_ids[:_KEYS]

    def features(self) -> list[Feature]:
        """All, in the order of their sides."""
        rows = self._scale.table(10_000)
        found = [id_feature(name, "user", rows) for name in self._user_ids]
        found += [id_feature(name, "item", rows) for name in self._item_ids]
        found += [raw_feature(name, "user") for name in self._user_raws]
        found += [raw_feature(name, "item") for name in self._item_raws]
        for place, name in enumerate(self._lookups):
            found.append(lookup_feature(name, self._key(place), combiner="sum"))
        discrete = {"needDiscrete": True, "hash_bucket_size": self._few, "value_dim": 1}
        discrete |= {"show_category": False, "show_item": False}
        for keys, names in (({"combiner": "sum"}, self._matches), (discrete, self._discrete)):
            for place, name in enumerate(names):
                pair = self._key(place), self._key(place + 1)
                found.append(match_feature(name, *pair, **keys))
        return found

    @property
    def _few(self) -> int:
        return self._scale.table(1000)

    def _key(self, place: int) -> str:
        return self._keys[place % len(self._keys)]

    def items(self, rng: np.random.Generator) -> dict[str, list[Any]]:
        """The item table."""
        count = self._scale.count(_ITEMS)
        found: dict[str, list[Any]] = {"item_id": [f"i{k}" for k in range(count)]}
        found |= {name: words(rng, count, _KINDS) for name in self._item_ids}
        return found | {name: numbers(rng, count) for name in self._item_raws}

    def user(self, rng: np.random.Generator) -> dict[str, Any]:
        """The fields of one user."""
        found: dict[str, Any] = {name: words(rng, 1, 100_000)[0] for name in self._user_ids}
        found |= dict(zip(self._user_raws, numbers(rng, len(self._user_raws)), strict=True))
        for name in self._lookups:
            found[name] = map_text(rng, _ENTRIES, _KINDS, lambda: f"{rng.normal():.4f}")
        for name in self._matches:
            value = map("{:.2f}".format, rng.normal(size=_OUTER * _INNER).tolist())
            found[name] = nested_text(rng, _OUTER, _INNER, _KINDS, value.__next__)
        for name in self._discrete:
            value = map("w{}".format, rng.integers(100_000, size=_OUTER * _INNER).tolist())
            found[name] = nested_text(rng, _OUTER, _INNER, _KINDS, value.__next__)
        return found

    def network(self, net: Network) -> None:
        """One MLP over everything."""
        layer, rows = self._scale.layer, self._scale.table(10_000)
        ids = (*self._user_ids, *self._item_ids)
        parts = [net.embedded(name, rows, _DIMENSION) for name in ids]
        raws = (*self._user_raws, *self._item_raws)
        parts += map(net.numbers, (*raws, *self._lookups, *self._matches))
        parts += [net.embedded(name, self._few, _MATCHED) for name in self._discrete]
        units = (layer(512), layer(256), layer(128))
        net.score(net.mlp(net.concat(parts), units, "top"), "ctr")
