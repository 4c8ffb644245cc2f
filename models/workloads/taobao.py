"""The features that EasyRec's and TorchEasyRec's examples on Taobao's data have in common.

Names, buckets and dimensions are those of the examples; raw values and the price's boundaries are
drawn here. What the user clicked has the item's fields, each a sequence of at most 100.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rtcompile.models.workloads.design import Request
from rtcompile.models.workloads.fields import Feature, id_feature, raw_feature, sequence
from rtcompile.models.workloads.network import Network, Value
from rtcompile.models.workloads.scale import Scale

__all__ = ["CONTEXT_IDS", "DIMENSION", "ITEM_IDS", "SEQUENCE", "USER_IDS", "Taobao"]

DIMENSION = 16
SEQUENCE, SEQUENCE_IDS = "click_50_seq", ("adgroup_id", "cate_id", "brand")
USER_IDS = {
    "user_id": 1141730,
    "cms_segid": 98,
    "cms_group_id": 14,
    "final_gender_code": 3,
    "age_level": 8,
    "pvalue_level": 5,
    "shopping_level": 5,
    "occupation": 3,
    "new_user_class_level": 6,
}
ITEM_IDS = {
    "adgroup_id": 846812,
    "cate_id": 12961,
    "campaign_id": 423438,
    "customer": 255877,
    "brand": 461498,
}
CONTEXT_IDS = {"pid": 20}
_LENGTH, _PRICES = 100, 100


class Taobao:
    """Features, raw values and embeddings at a scale; with what the user clicked, or without.

    `context`: whether the place of an advertisement is known a row, else once a request.
    """

    def __init__(self, scale: Scale, clicks: bool, context: bool = True) -> None:
        self._scale, self._clicks, self._context = scale, clicks, context
        self.length = scale.count(_LENGTH)
        self._edges = [round(x, 2) for x in np.geomspace(1.1, 8720, _PRICES).tolist()]

    def _rows(self, name: str) -> int:
        if name == "price":
            return len(self._edges) + 1
        return self._scale.table({**USER_IDS, **ITEM_IDS, **CONTEXT_IDS}[name])

    # -- the config -----------------------------------------------------------------------------

    def features(self) -> list[Feature]:
        """All, by side."""
        found = [self._id(name, "user") for name in USER_IDS]
        found += [self._id(name, "item") for name in ITEM_IDS]
        found.append(raw_feature("price", "item", boundaries=self._edges))
        side = "context" if self._context else "user"
        found.append(id_feature("pid", side, self._rows("pid")))
        if self._clicks:
            fields = [self._id(name, "user") for name in SEQUENCE_IDS]
            found.append(sequence(SEQUENCE, self.length, fields))
        return found

    def _id(self, name: str, side: str) -> Feature:
        return id_feature(name, side, 0, num_buckets=self._rows(name))

    # -- raw fields -----------------------------------------------------------------------------

    def items(self, rng: np.random.Generator, count: int) -> dict[str, list[Any]]:
        """An item table."""
        found: dict[str, list[Any]] = {"item_id": [f"i{k}" for k in range(count)]}
        found |= {name: self._ids(rng, name, count) for name in ITEM_IDS}
        found["price"] = np.round(rng.lognormal(4, 1.5, count), 2).tolist()
        return found

    def request(self, rng: np.random.Generator, rows: int) -> Request:
        """A user, and `rows` rows of context."""
        user: dict[str, Any] = {name: self._ids(rng, name, 1)[0] for name in USER_IDS}
        if self._clicks:
            clicks = int(rng.integers(self.length // 2, self.length + 1))
            for name in SEQUENCE_IDS:
                user[f"{SEQUENCE}__{name}"] = ";".join(self._ids(rng, name, clicks))
        pids = [f"430548_{k}" for k in rng.integers(CONTEXT_IDS["pid"], size=rows).tolist()]
        if not self._context:
            return Request({**user, "pid": pids[0]}, {})
        return Request(user, {"pid": pids})

    def _ids(self, rng: np.random.Generator, name: str, count: int) -> list[str]:
        return list(map(str, rng.integers(self._rows(name), size=count).tolist()))

    # -- the network ----------------------------------------------------------------------------

    def embedded(self, net: Network, *names: str) -> list[Value]:
        """The embeddings of features."""
        return [net.embedded(name, self._rows(name), DIMENSION) for name in names]

    def clicks(self, net: Network) -> Value:
        """[length, dimension of all fields]: what the user clicked, by the items' own tables."""
        parts = []
        for name in SEQUENCE_IDS:
            given = (self._rows(name), DIMENSION, self.length, name)
            parts.append(net.embedded(f"{SEQUENCE}__{name}", *given))
        return net.concat(parts, axis=2)
