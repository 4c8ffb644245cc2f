"""TorchEasyRec's example of an MMoE: 16 fields, three experts, two tasks.

Experts 512-256-128, towers 256-128-64.
"""

from __future__ import annotations

from rtcompile.models.workloads.design import Design
from rtcompile.models.workloads.network import Network, Value, seeded
from rtcompile.models.workloads.scale import FULL, Scale
from rtcompile.models.workloads.taobao import CONTEXT_IDS, ITEM_IDS, USER_IDS, Taobao

__all__ = ["mmoe"]

_ROWS, _REQUESTS = (1, 100, 512), 8
_EXPERTS, _TASKS = 3, ("ctr", "cvr")


def mmoe(scale: Scale = FULL, seed: int = 0) -> Design:
    """The design at a scale."""
    data, rng = Taobao(scale, clicks=False), seeded(seed, "mmoe")

    def network(net: Network) -> None:
        fields = data.embedded(net, *USER_IDS, *CONTEXT_IDS, *ITEM_IDS, "price")
        _heads(net, net.concat(fields), scale)

    rows = tuple(sorted({scale.count(count) for count in _ROWS}))
    items = data.items(rng, max(rows))
    requests = [data.request(rng, max(rows)) for _ in range(_REQUESTS)]
    return Design("mmoe", seed, data.features(), network, {}, items, requests, rows)


def _heads(net: Network, x: Value, scale: Scale) -> None:
    """A tower a task, on the experts' results as the task's gate weights them."""
    layer = scale.layer
    units = (layer(512), layer(256), layer(128))
    experts = [net.mlp(x, units, f"expert_{k}") for k in range(_EXPERTS)]
    stacked = net.concat([net.reshape(expert, (1, expert.width)) for expert in experts])
    for task in _TASKS:
        gate = net.softmax(net.dense(x, _EXPERTS, f"{task}_gate", bias=False))
        mixed = net.matmul(net.reshape(gate, (1, _EXPERTS)), stacked)
        flat = net.reshape(mixed, (stacked.width,))
        net.score(net.mlp(flat, (layer(256), layer(128), layer(64)), f"{task}_tower"), task)
