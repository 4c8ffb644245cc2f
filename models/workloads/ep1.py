"""EasyRec Processor's published model 1: 67 id, 170 raw and 756 lookup features, 4 sequences.

Published: the counts of features by type, 4 main sequences with 32 side-info sequences of at most
50 elements, 100 items and 50 KB a request. Chosen here: dimensions, tables and towers; the units of
the attention are those of EasyRec's sample for such a model.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rtcompile.models.workloads.design import Design, Request
from rtcompile.models.workloads.fields import (
    Feature,
    id_feature,
    joined,
    lookup_feature,
    map_text,
    numbers,
    raw_feature,
    sequence,
    words,
)
from rtcompile.models.workloads.network import Network, Value, seeded
from rtcompile.models.workloads.scale import FULL, Scale

__all__ = ["ep1"]

_SEQUENCES, _FIELDS, _LENGTH, _SHORTEST = 4, 8, 50, 36
_DIMENSION, _LOOKED_UP = 8, 4
_KINDS, _ENTRIES = 50, 5
_ITEMS, _REQUESTS = 400, 8


def ep1(scale: Scale = FULL, seed: int = 0) -> Design:
    """The design at a scale."""
    model = _Model(scale)
    rng = seeded(seed, "ep1")
    return Design(
        "ep1",
        seed,
        model.features(),
        model.network,
        {name: (model.buckets(name), _DIMENSION) for name in model.tags},
        model.items(rng),
        [Request(model.user(rng), {}) for _ in range(scale.count(_REQUESTS))],
        (scale.count(100),),
    )


class _Model:
    """Names of the features by kind and side, and what is drawn for their fields."""

    def __init__(self, scale: Scale) -> None:
        self._scale = scale
        self._length = scale.count(_LENGTH)
        self.side_info = [f"side_{k}" for k in range(scale.count(_FIELDS))]
        self.user_ids = [f"user_id_{k}" for k in range(scale.count(32))]
        self.user_tags = [f"user_tag_{k}" for k in range(scale.count(8))]
        item_ids = scale.count(23) - len(self.side_info)
        self.item_ids = [f"item_id_{k}" for k in range(max(1, item_ids))]
        self.item_tags = [f"item_tag_{k}" for k in range(scale.count(4))]
        self.user_raws = [f"user_raw_{k}" for k in range(scale.count(90))]
        self.item_raws = [f"item_raw_{k}" for k in range(scale.count(80))]
        self.numbers = [f"lookup_{k}" for k in range(scale.count(504))]
        self.discrete = [f"lookup_id_{k}" for k in range(scale.count(252))]
        self.sequences = [f"seq_{k}" for k in range(scale.count(_SEQUENCES))]
        self.tags = [*self.user_tags, *self.item_tags]
        self._keys = [*self.side_info, *self.item_ids]  # what maps are looked up by

    def buckets(self, name: str) -> int:
        """Of an id: a few are of many values, most of some."""
        many = name in ("user_id_0", "side_0")
        return self._scale.table(100_000 if many else 10_000)

    # -- the config -------------------------------------------------------------------------------

    def features(self) -> list[Feature]:
        """All, in the order of their sides."""
        found = [self._id(name, "user") for name in self.user_ids]
        found += [self._id(name, "user", pooling="mean") for name in self.user_tags]
        found += [self._id(name, "item") for name in (*self.side_info, *self.item_ids)]
        found += [self._id(name, "item", pooling="mean") for name in self.item_tags]
        scaled = "method=zscore,mean=0.1,standard_deviation=2"
        found += [raw_feature(name, "user", normalizer=scaled) for name in self.user_raws]
        found += [raw_feature(name, "item", normalizer=scaled) for name in self.item_raws]
        for place, name in enumerate(self.numbers):
            found.append(lookup_feature(name, self._key(place), combiner="sum"))
        for place, name in enumerate(self.discrete):
            rows = self._scale.table(1000)
            keys = {"needDiscrete": True, "hash_bucket_size": rows, "value_dim": 1}
            found.append(lookup_feature(name, self._key(place), **keys))
        for name in self.sequences:
            fields = [self._id(field, "user") for field in self.side_info]
            found.append(sequence(name, self._length, fields))
        return found

    def _id(self, name: str, side: str, **keys: Any) -> Feature:
        return id_feature(name, side, self.buckets(name), **keys)

    def _key(self, place: int) -> str:
        return self._keys[place % len(self._keys)]

    # -- raw fields -------------------------------------------------------------------------------

    def items(self, rng: np.random.Generator) -> dict[str, list[Any]]:
        """The item table."""
        count = self._scale.count(_ITEMS)
        found: dict[str, list[Any]] = {"item_id": [f"i{k}" for k in range(count)]}
        for name in (*self.side_info, *self.item_ids):
            found[name] = words(rng, count, _KINDS)
        for name in self.item_tags:
            found[name] = joined(rng, count, 1, 5, 1000)
        for name in self.item_raws:
            found[name] = numbers(rng, count)
        return found

    def user(self, rng: np.random.Generator) -> dict[str, Any]:
        """The fields of one user."""
        found: dict[str, Any] = {name: words(rng, 1, 100_000)[0] for name in self.user_ids}
        found |= {name: joined(rng, 1, 1, 10, 1000)[0] for name in self.user_tags}
        found |= dict(zip(self.user_raws, numbers(rng, len(self.user_raws)), strict=True))
        for name in self.numbers:
            found[name] = map_text(rng, _ENTRIES, _KINDS, lambda: f"{rng.normal():.4f}")
        for name in self.discrete:
            found[name] = map_text(rng, _ENTRIES, _KINDS, lambda: f"w{rng.integers(100_000)}")
        for name in self.sequences:
            length = int(rng.integers(min(_SHORTEST, self._length), self._length + 1))
            for field in self.side_info:
                found[f"{name}__{field}"] = ";".join(words(rng, length, 100_000))
        return found

    # -- the network ------------------------------------------------------------------------------

    def network(self, net: Network) -> None:
        """A tower a side, one of what both share, attention over the sequences, an MLP over all."""
        layer = self._scale.layer
        towers = {"user": self._side(net, self.user_ids, self.user_tags, self.user_raws)}
        items = [*self.side_info, *self.item_ids]
        towers["item"] = self._side(net, items, self.item_tags, self.item_raws)
        rows = self._scale.table(1000)
        looked_up = [net.embedded(name, rows, _LOOKED_UP) for name in self.discrete]
        towers["both"] = [*map(net.numbers, self.numbers), *looked_up]
        units = (layer(256), layer(128))
        parts = [net.mlp(net.concat(given), units, name) for name, given in towers.items()]
        query = net.concat([self._embedded(net, name) for name in self.side_info])
        attention = (layer(128), layer(64), layer(32))
        parts += [
            net.attention(query, self._sequence(net, name), f"{name}__len", attention)
            for name in self.sequences
        ]
        net.score(net.mlp(net.concat(parts), (layer(512), layer(256), layer(128)), "top"), "ctr")

    def _side(self, net: Network, ids: list[str], tags: list[str], raws: list[str]) -> list[Value]:
        pooled = [net.numbers(name, _DIMENSION) for name in tags]
        return [*(self._embedded(net, name) for name in ids), *pooled, *map(net.numbers, raws)]

    def _embedded(self, net: Network, name: str) -> Value:
        return net.embedded(name, self.buckets(name), _DIMENSION)

    def _sequence(self, net: Network, name: str) -> Value:
        """[length, dimension of all fields], by the tables of the item's own fields."""
        parts = []
        for field in self.side_info:
            given = (self.buckets(field), _DIMENSION, self._length, field)
            parts.append(net.embedded(f"{name}__{field}", *given))
        return net.concat(parts, axis=2)
