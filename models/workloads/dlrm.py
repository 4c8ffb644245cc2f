"""A DLRM of Criteo's shape: 13 numbers, 26 ids, the dot products of their vectors.

Layers are the DLRM repository's for the Criteo Kaggle data: bottom 512-256-64-16, dimension 16, top
512-256-1. Table rows are that data's, capped so that all have 10 million rows together. Ids come as
8 hexadecimal digits, as in the data. Every field belongs to a row.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rtcompile.models.workloads.design import Design, Request
from rtcompile.models.workloads.fields import Feature, id_feature, raw_feature
from rtcompile.models.workloads.network import Network, Value, seeded
from rtcompile.models.workloads.scale import FULL, Scale

__all__ = ["dlrm", "dot_interaction"]

_ROWS, _REQUESTS = 2048, 2
_DENSE, _DIMENSION, _CAP = 13, 16, 1_880_000
# fmt: off
_TABLES = (
    1460, 583, 10131227, 2202608, 305, 24, 12517, 633, 3, 93145, 5683, 8351593, 3194, 27, 14992,
    5461306, 10, 5652, 2173, 4, 7046547, 18, 15, 286181, 105, 142572,
)
# fmt: on


def dlrm(scale: Scale = FULL, seed: int = 0) -> Design:
    """The design at a scale."""
    model, rng = _Model(scale), seeded(seed, "dlrm")
    rows = scale.count(_ROWS)
    return Design(
        "dlrm",
        seed,
        model.features(),
        model.network,
        {},
        {"item_id": [f"i{k}" for k in range(rows)]},
        [Request({}, model.context(rng, rows)) for _ in range(_REQUESTS)],
        tuple(sorted({1, scale.count(128), rows})),
    )


def dot_interaction(net: Network, vectors: list[Value]) -> Value:
    """The dot product of every two of the vectors, one after another."""
    count = len(vectors)
    stacked = net.concat([net.reshape(x, (1, x.width)) for x in vectors])
    products = net.matmul(stacked, net.transpose(stacked))
    first, second = np.tril_indices(count, -1)
    return net.pick(net.reshape(products, (count * count,)), first * count + second)


class _Model:
    def __init__(self, scale: Scale) -> None:
        self._scale = scale
        self._dense = [f"dense_{k}" for k in range(scale.count(_DENSE))]
        tables = _TABLES if scale is FULL else _TABLES[: max(3, scale.count(len(_TABLES)))]
        self._tables = {f"id_{k}": min(_CAP, scale.table(rows)) for k, rows in enumerate(tables)}

    def features(self) -> list[Feature]:
        """All of the context."""
        scaled = "method=log10,threshold=0,default=0"
        found = [raw_feature(name, "context", normalizer=scaled) for name in self._dense]
        return found + [id_feature(n, "context", rows) for n, rows in self._tables.items()]

    def context(self, rng: np.random.Generator, rows: int) -> dict[str, list[Any]]:
        """The fields of `rows` rows."""
        found: dict[str, list[Any]] = {}
        for name in self._dense:
            found[name] = np.floor(rng.lognormal(1, 1.5, rows)).tolist()
        for name, kinds in self._tables.items():
            # Some values are far more common than others.
            drawn = np.floor(kinds * rng.random(rows) ** 3).astype(np.int64)
            found[name] = [f"{k * 2654435761 % (1 << 32):08x}" for k in drawn.tolist()]
        return found

    def network(self, net: Network) -> None:
        """Bottom layers, dot products, top layers."""
        layer, width = self._scale.layer, self._scale.layer(_DIMENSION)
        dense = net.concat([net.numbers(name) for name in self._dense])
        bottom = net.mlp(dense, (layer(512), layer(256), layer(64), width), "bottom")
        vectors = [net.embedded(name, rows, width) for name, rows in self._tables.items()]
        products = dot_interaction(net, [bottom, *vectors])
        top = net.mlp(net.concat([bottom, products]), (layer(512), layer(256)), "top")
        net.score(top, "ctr")
