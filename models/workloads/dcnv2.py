"""MLPerf's DLRM-DCNv2: 13 numbers, 26 multi-valued ids, three low-rank cross layers.

Tables have dimension 128 and the rows of the Criteo 1TB data, here 200,000 at most; a row has 214
ids in all. Bottom 512-256-128, cross layers of rank 512, over 1024-1024-512-256-1; 100 to 700 rows.
Ids come as decimal digits, several in one text. Every field belongs to a row.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rtcompile.models.workloads.design import Design, Request
from rtcompile.models.workloads.fields import SEPARATOR, Feature, id_feature, raw_feature
from rtcompile.models.workloads.network import Network, seeded
from rtcompile.models.workloads.scale import FULL, Scale

__all__ = ["dcnv2"]

_ROWS, _REQUESTS = (100, 400, 700), 2
_DENSE, _DIMENSION, _CAP, _CROSSES, _RANK = 13, 128, 200_000, 3, 512
# fmt: off
_TABLES = (
    40000000, 39060, 17295, 7424, 20265, 3, 7122, 1543, 63, 40000000, 3067956, 405282, 10, 2209,
    11938, 155, 4, 976, 14, 40000000, 40000000, 40000000, 590152, 12973, 108, 36,
)
_VALUES = (3, 2, 1, 2, 6, 1, 1, 1, 1, 7, 3, 8, 1, 6, 9, 5, 1, 1, 1, 12, 100, 27, 10, 3, 1, 1)
# fmt: on


def dcnv2(scale: Scale = FULL, seed: int = 0) -> Design:
    """The design at a scale."""
    model, rng = _Model(scale), seeded(seed, "dcnv2")
    rows = tuple(sorted({scale.count(count) for count in _ROWS}))
    return Design(
        "dcnv2",
        seed,
        model.features(),
        model.network,
        {name: (count, scale.layer(_DIMENSION)) for name, count in model.tables.items()},
        {"item_id": [f"i{k}" for k in range(max(rows))]},
        [Request({}, model.context(rng, max(rows))) for _ in range(_REQUESTS)],
        rows,
    )


class _Model:
    def __init__(self, scale: Scale) -> None:
        self._scale = scale
        self._dense = [f"dense_{k}" for k in range(scale.count(_DENSE))]
        count = len(_TABLES) if scale is FULL else 3
        self.tables = {f"ids_{k}": min(_CAP, scale.table(_TABLES[k])) for k in range(count)}

    def features(self) -> list[Feature]:
        """All of the context."""
        scaled = "method=log10,threshold=0,default=0"
        found = [raw_feature(name, "context", normalizer=scaled) for name in self._dense]
        for name, rows in self.tables.items():
            found.append(id_feature(name, "context", 0, num_buckets=rows))
        return found

    def context(self, rng: np.random.Generator, rows: int) -> dict[str, list[Any]]:
        """The fields of `rows` rows."""
        found: dict[str, list[Any]] = {}
        for name in self._dense:
            found[name] = np.floor(rng.lognormal(1, 1.5, rows)).tolist()
        for count, (name, kinds) in zip(_VALUES, self.tables.items(), strict=False):
            drawn = rng.integers(kinds, size=(rows, count)).tolist()
            found[name] = [SEPARATOR.join(map(str, row)) for row in drawn]
        return found

    def network(self, net: Network) -> None:
        """Bottom layers, crosses, over layers."""
        layer, width = self._scale.layer, self._scale.layer(_DIMENSION)
        dense = net.concat([net.numbers(name) for name in self._dense])
        bottom = net.mlp(dense, (layer(512), layer(256), width), "bottom")
        given = net.concat([bottom, *(net.numbers(name, width) for name in self.tables)])
        x = given
        for k in range(_CROSSES):
            low = net.dense(x, layer(_RANK), f"cross_{k}_in", bias=False)
            x = net.add(net.mul(given, net.dense(low, given.width, f"cross_{k}_out")), x)
        over = net.mlp(x, (layer(1024), layer(1024), layer(512), layer(256)), "over")
        net.score(over, "ctr")
