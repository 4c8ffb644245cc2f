"""nn.EmbeddingBag: of a fixed size, with padding, with weights, with offsets."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from tests.endtoend.torch_models.base import OLD, Shape, floats, ids

__all__ = ["BAGS"]


class _Bag(nn.Module):
    def __init__(self, mode: str, padding: int | None = None, last: bool = False) -> None:
        super().__init__()
        self.bag = nn.EmbeddingBag(50, 8, mode=mode, padding_idx=padding, include_last_offset=last)
        self.top = nn.Linear(8, 1)

    def forward(self, ids: Any, offsets: Any = None, weights: Any = None) -> Any:
        return torch.sigmoid(self.top(self.bag(ids, offsets, weights))).squeeze(-1)


class _WeightedBag(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.bag = nn.EmbeddingBag(50, 8, mode="sum")

    def forward(self, ids: Any, weights: Any) -> Any:
        return self.bag(ids, per_sample_weights=weights)


class _Interactions(nn.Module):
    """Bags of one id each, and the products of all pairs, as in DLRM."""

    def __init__(self, fields: int = 6) -> None:
        super().__init__()
        self.bags = nn.ModuleList([nn.EmbeddingBag(40, 8, mode="sum") for _ in range(fields)])
        self.bottom = nn.Sequential(nn.Linear(13, 32), nn.ReLU(), nn.Linear(32, 8), nn.ReLU())
        rows, columns = torch.tril_indices(fields + 1, fields + 1, -1)
        self.register_buffer("rows", rows)
        self.register_buffer("columns", columns)
        self.top = nn.Sequential(nn.Linear(8 + len(rows), 16), nn.ReLU(), nn.Linear(16, 1))

    def forward(self, dense: Any, ids: Any) -> Any:
        x = self.bottom(dense)
        bags = [bag(ids[:, place : place + 1]) for place, bag in enumerate(self.bags)]
        every = torch.stack([x, *bags], 1)
        pairs = torch.bmm(every, every.transpose(1, 2))[:, self.rows, self.columns]
        return torch.sigmoid(self.top(torch.cat([x, pairs], 1)))


class _TwoBags(nn.Module):
    """Two lists of ids, each with offsets of its own, beside numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.EmbeddingBag(50, 8, mode="sum")
        self.second = nn.EmbeddingBag(30, 4, mode="mean")
        self.top = nn.Linear(15, 1)

    def forward(self, x: Any, a: Any, starts_a: Any, b: Any, starts_b: Any) -> Any:
        return self.top(torch.cat([x, self.first(a, starts_a), self.second(b, starts_b)], 1))


def _ragged(rows: int, high: int = 50, last: bool = False) -> tuple[Any, Any]:
    """Ids, and where those of each row begin; a row has an id at least."""
    ends = torch.cumsum(torch.randint(1, 6, (rows,)), 0)
    starts = torch.cat([torch.zeros(1, dtype=torch.int64), ends])
    return torch.randint(0, high, (int(ends[-1]),)), starts if last else starts[:-1]


def _weighted(rows: int) -> tuple[Any, ...]:
    bags = _ragged(rows, last=True)
    return (*bags, torch.rand(len(bags[0])))


BAGS = {
    **{
        f"bag {mode}": Shape(lambda mode=mode: _Bag(mode), lambda rows: (ids(rows, 50, 6),))
        for mode in ("sum", "mean", "max")
    },
    **{
        f"bag {mode} with padding": Shape(
            lambda mode=mode: _Bag(mode, 0), lambda rows: (ids(rows, 50, 6),), (OLD,)
        )
        for mode in ("sum", "mean")
    },
    "weighted bag": Shape(_WeightedBag, lambda rows: (ids(rows, 50, 6), torch.rand(rows, 6))),
    **{
        f"bag {mode} with offsets": Shape(lambda mode=mode: _Bag(mode), _ragged)
        for mode in ("sum", "mean", "max")
    },
    "bag with offsets and padding": Shape(lambda: _Bag("mean", 3), _ragged, (OLD,)),
    "weighted bag with offsets": Shape(lambda: _Bag("sum", last=True), _weighted),
    "two bags with offsets": Shape(
        _TwoBags, lambda rows: (floats(rows, 3), *_ragged(rows), *_ragged(rows, 30))
    ),
    "DLRM": Shape(_Interactions, lambda rows: (floats(rows, 13), ids(rows, 40, 6))),
}
