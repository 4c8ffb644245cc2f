"""TorchEasyRec's example of a multi-tower DIN: 16 fields, the clicked items' three fields.

Deep tower 512-256-128, attention 256-64 over a sequence of at most 100, final layer 64.
"""

from __future__ import annotations

from rtcompile.models.workloads.design import Design
from rtcompile.models.workloads.network import Network, seeded
from rtcompile.models.workloads.scale import FULL, Scale
from rtcompile.models.workloads.taobao import CONTEXT_IDS, ITEM_IDS, SEQUENCE, USER_IDS, Taobao

__all__ = ["din"]

_ROWS, _REQUESTS = (1, 100, 512), 8


def din(scale: Scale = FULL, seed: int = 0) -> Design:
    """The design at a scale."""
    data, rng, layer = Taobao(scale, clicks=True), seeded(seed, "din"), scale.layer

    def network(net: Network) -> None:
        fields = data.embedded(net, *USER_IDS, *ITEM_IDS, "price", *CONTEXT_IDS)
        deep = net.mlp(net.concat(fields), (layer(512), layer(256), layer(128)), "deep")
        query = net.concat(data.embedded(net, "adgroup_id", "cate_id", "brand"))
        units = (layer(256), layer(64))
        interest = net.attention(query, data.clicks(net), f"{SEQUENCE}__len", units)
        net.score(net.mlp(net.concat([deep, interest]), (layer(64),), "final"), "ctr")

    rows = tuple(sorted({scale.count(count) for count in _ROWS}))
    items = data.items(rng, max(rows))
    requests = [data.request(rng, max(rows)) for _ in range(_REQUESTS)]
    return Design("din", seed, data.features(), network, {}, items, requests, rows)
