"""TorchEasyRec's example of a DSSM: the dot product of a user tower and an item tower.

Towers 512-256-128 and a layer to 64. What the user clicked is averaged.
"""

from __future__ import annotations

from rtcompile.models.workloads.design import Design
from rtcompile.models.workloads.network import Network, Value, seeded
from rtcompile.models.workloads.scale import FULL, Scale
from rtcompile.models.workloads.taobao import ITEM_IDS, SEQUENCE, USER_IDS, Taobao

__all__ = ["dssm"]

_ROWS, _REQUESTS, _OUTPUT = (1, 100, 512), 8, 64


def dssm(scale: Scale = FULL, seed: int = 0) -> Design:
    """The design at a scale."""
    data, rng, layer = Taobao(scale, clicks=True, context=False), seeded(seed, "dssm"), scale.layer

    def tower(net: Network, x: Value, name: str) -> Value:
        hidden = net.mlp(x, (layer(512), layer(256), layer(128)), name)
        return net.dense(hidden, layer(_OUTPUT), f"{name}_output")

    def network(net: Network) -> None:
        clicked = net.mean(data.clicks(net), f"{SEQUENCE}__len")
        user = net.concat([*data.embedded(net, *USER_IDS, "pid"), clicked])
        item = net.concat(data.embedded(net, *ITEM_IDS, "price"))
        product = net.mul(tower(net, user, "user"), tower(net, item, "item"))
        net.output(net.reshape(net.sum(product, 1), (1,)), "similarity")

    rows = tuple(sorted({scale.count(count) for count in _ROWS}))
    items = data.items(rng, max(rows))
    requests = [data.request(rng, max(rows)) for _ in range(_REQUESTS)]
    return Design("dssm", seed, data.features(), network, {}, items, requests, rows)
