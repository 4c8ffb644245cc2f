"""Buckets, hashes, times, statistics, and element types."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from tests.endtoend.torch_models.base import NEW, OLD, Shape, floats, ids

__all__ = ["NUMBERS"]


class _Buckets(nn.Module):
    def __init__(self, compared: bool) -> None:
        super().__init__()
        self.register_buffer("bounds", torch.tensor([-1.0, 0.0, 0.5, 2.0]))
        self.table, self.compared = nn.Embedding(5, 4), compared

    def forward(self, x: Any) -> Any:
        if self.compared:
            return self.table((x.unsqueeze(-1) > self.bounds).sum(-1)).flatten(1)
        return self.table(torch.bucketize(x, self.bounds)).flatten(1)


class _WithoutNan(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.top = nn.Linear(6, 3)

    def forward(self, x: Any) -> Any:
        known = torch.nan_to_num(x, nan=0.0, posinf=10.0, neginf=-10.0)
        return self.top(torch.log1p(torch.clamp(known, min=0)))


class _OneHot(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.top = nn.Linear(14, 2)

    def forward(self, kind: Any, x: Any) -> Any:
        return self.top(torch.cat([functional.one_hot(kind, 10).float(), x], 1))


class _Scattered(nn.Module):
    def forward(self, places: Any, weights: Any) -> Any:
        return torch.zeros(places.shape[0], 10).scatter_add(1, places, weights)


class _Hashed(nn.Module):
    def __init__(self, factor: int, floored: bool) -> None:
        super().__init__()
        self.table, self.factor, self.floored = nn.Embedding(1000, 4), factor, floored

    def forward(self, user: Any, item: Any) -> Any:
        mixed = user * self.factor + item
        return self.table(torch.remainder(mixed, 1000) if self.floored else mixed % 1000)


class _HalfLayer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.top = nn.Linear(8, 4).half()

    def forward(self, x: Any) -> Any:
        return torch.sigmoid(self.top(x.half()).float())


class _TableOf(nn.Module):
    def __init__(self, table: torch.dtype, top: torch.dtype) -> None:
        super().__init__()
        self.table, self.top = nn.Embedding(50, 8).to(table), nn.Linear(8, 1).to(top)
        self.dtype = top

    def forward(self, ids: Any) -> Any:
        return torch.sigmoid(self.top(self.table(ids).to(self.dtype)))


class _Activations(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.root, self.groups, self.top = nn.RMSNorm(8), nn.GroupNorm(2, 8), nn.Linear(8, 8)

    def forward(self, x: Any) -> Any:
        one, other = functional.gelu(self.top(self.root(x))), functional.mish(self.groups(x))
        more = (functional.hardswish, functional.silu, functional.glu, functional.softplus)
        return one, other, *(curve(x) for curve in more)


class _Statistics(nn.Module):
    def forward(self, x: Any) -> Any:
        from_end = torch.flip(torch.cumsum(torch.flip(x, [1]), 1), [1])
        order = x.sort(dim=1, descending=True)[0], x.argsort(dim=1), torch.median(x, 1)[0]
        spread = x.std(1), x.var(1, unbiased=False)
        sums = torch.amax(x, 1), torch.logsumexp(x, 1), torch.norm(x, dim=1)
        return torch.cumsum(x, 1), from_end, *order, *spread, *sums


class _Shifts(nn.Module):
    def forward(self, x: Any) -> Any:
        repeated = x.repeat_interleave(2, dim=1), x.tile(1, 2)
        return torch.roll(x, 1, dims=1), x.unfold(1, 3, 2), torch.diff(x, dim=1), *repeated


class _Times(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rates = nn.Parameter(torch.randn(8))

    def forward(self, seconds: Any) -> Any:
        angle = (seconds % 86400).float() / 86400 * 2 * math.pi
        waves = torch.cat([torch.sin(angle), torch.cos(angle), torch.cos(angle * self.rates)], -1)
        return waves, (seconds // 3600) % 24, torch.div(seconds, 7, rounding_mode="trunc")


def _with_gaps(rows: int) -> tuple[Any, ...]:
    x = floats(rows, 6)
    x[::3, 0], x[1::4, 1] = float("nan"), float("inf")
    return (x,)


def _wide(rows: int, low: int = 0) -> tuple[Any, ...]:
    return tuple(torch.randint(low, 2**40, (rows,)) for _ in range(2))


NUMBERS = {
    "buckets": Shape(lambda: _Buckets(False), lambda rows: (floats(rows, 3),)),
    "compared buckets": Shape(lambda: _Buckets(True), lambda rows: (floats(rows, 3),)),
    "without NaN": Shape(_WithoutNan, _with_gaps),
    "one-hot": Shape(_OneHot, lambda rows: (ids(rows, 10), floats(rows, 4))),
    "scattered sums": Shape(_Scattered, lambda rows: (ids(rows, 10, 6), torch.rand(rows, 6))),
    "hash that wraps": Shape(lambda: _Hashed(6364136223846793005, False), _wide),
    "hash": Shape(lambda: _Hashed(31, True), lambda rows: _wide(rows, -(2**30))),
    "float16 layer": Shape(_HalfLayer, lambda rows: (floats(rows, 8),)),
    "bfloat16 table": Shape(
        lambda: _TableOf(torch.bfloat16, torch.float32), lambda rows: (ids(rows, 50),)
    ),
    "float64": Shape(lambda: _TableOf(torch.float64, torch.float64), lambda rows: (ids(rows, 50),)),
    "activations": Shape(_Activations, lambda rows: (floats(rows, 8),), (OLD,)),
    "statistics": Shape(_Statistics, lambda rows: (floats(rows, 7),), (NEW, OLD)),
    "shifts": Shape(_Shifts, lambda rows: (floats(rows, 7),), (OLD,)),
    "times": Shape(_Times, lambda rows: (torch.randint(1_600_000_000, 1_700_000_000, (rows, 1)),)),
}
