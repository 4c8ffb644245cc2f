"""RECom's published workload E: a thousand small columns, and an MLP over their embeddings.

Published: 256 rows; 880 numbers with 100 boundaries, 50 integers hashed into 100 rows, 50 strings
of 8 characters into 10,000 rows, 15 strings of 1 to 10 values split on ; into 10,000 rows, all of
dimension 8; 5 such multi-valued strings into a million rows of dimension 32; 32 numbers into a
layer of 32; an MLP of 1024-1024-128-1. Every field belongs to a row: nothing can be kept between
requests.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rtcompile.models.workloads.design import Design, Request
from rtcompile.models.workloads.fields import Feature, id_feature, numbers, raw_feature
from rtcompile.models.workloads.network import Network, seeded
from rtcompile.models.workloads.scale import FULL, Scale

__all__ = ["recom"]

_ROWS, _REQUESTS = 256, 4
_BOUNDARIES, _DIMENSION, _WIDE = 100, 8, 32
_LETTERS = np.array(list("abcdefghijklmnopqrstuvwxyz0123456789"))


def recom(scale: Scale = FULL, seed: int = 0) -> Design:
    """The design at a scale."""
    model, rng = _Model(scale), seeded(seed, "recom")
    rows = scale.count(_ROWS)
    return Design(
        "recom",
        seed,
        model.features(),
        model.network,
        model.tables(),
        {"item_id": [f"i{k}" for k in range(rows)]},
        [Request({}, model.context(rng, rows)) for _ in range(_REQUESTS)],
        (rows,),
    )


class _Model:
    def __init__(self, scale: Scale) -> None:
        self._scale = scale
        self._numbers = [f"number_{k}" for k in range(scale.count(880))]
        self._integers = [f"integer_{k}" for k in range(scale.count(50))]
        self._strings = [f"string_{k}" for k in range(scale.count(50))]
        self._lists = [f"list_{k}" for k in range(scale.count(15))]
        self._wide = [f"wide_{k}" for k in range(scale.count(5))]
        self._dense = scale.count(32)
        self._some, self._many = scale.table(10_000), scale.table(1_000_000)

    def features(self) -> list[Feature]:
        """All of the context."""
        edges = [float(np.float32(x)) for x in np.linspace(-3, 3, _BOUNDARIES)]
        found = [raw_feature(name, "context", boundaries=edges) for name in self._numbers]
        found += [id_feature(name, "context", 100) for name in self._integers]
        found += [id_feature(name, "context", self._some) for name in self._strings]
        for names, rows in ((self._lists, self._some), (self._wide, self._many)):
            found += [id_feature(name, "context", rows, separator=";") for name in names]
        found += [raw_feature(f"dense_{k}", "context") for k in range(self._dense)]
        return found

    def tables(self) -> dict[str, tuple[int, int]]:
        """Of what is multi-valued."""
        lists = dict.fromkeys(self._lists, (self._some, _DIMENSION))
        return lists | dict.fromkeys(self._wide, (self._many, _WIDE))

    def context(self, rng: np.random.Generator, rows: int) -> dict[str, list[Any]]:
        """The fields of `rows` rows."""
        found: dict[str, list[Any]] = {name: numbers(rng, rows) for name in self._numbers}
        for name in self._integers:
            found[name] = rng.integers(1_000_000, size=rows).tolist()
        for name in self._strings:
            found[name] = _strings(rng, rows)
        for name in (*self._lists, *self._wide):
            counts = rng.integers(1, 11, rows).tolist()
            values = iter(_strings(rng, sum(counts)))
            found[name] = [";".join(next(values) for _ in range(count)) for count in counts]
        return found | {f"dense_{k}": numbers(rng, rows) for k in range(self._dense)}

    def network(self, net: Network) -> None:
        """An MLP over all embeddings and a layer of the plain numbers."""
        layer = self._scale.layer
        parts = [net.embedded(name, _BOUNDARIES + 1, _DIMENSION) for name in self._numbers]
        parts += [net.embedded(name, 100, _DIMENSION) for name in self._integers]
        parts += [net.embedded(name, self._some, _DIMENSION) for name in self._strings]
        parts += [net.numbers(name, _DIMENSION) for name in self._lists]
        parts += [net.numbers(name, _WIDE) for name in self._wide]
        dense = net.concat([net.numbers(f"dense_{k}") for k in range(self._dense)])
        parts.append(net.mlp(dense, (layer(32),), "bottom"))
        units = (layer(1024), layer(1024), layer(128))
        net.score(net.mlp(net.concat(parts), units, "top"), "ctr")


def _strings(rng: np.random.Generator, count: int) -> list[str]:
    """Of 8 characters."""
    return ["".join(row) for row in _LETTERS[rng.integers(len(_LETTERS), size=(count, 8))].tolist()]
