"""Networks of kinds that ranking models have, in torch, each with inputs of `ROWS` rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional

__all__ = ["MODELS", "ROWS"]

ROWS = 37


def _ids(high: int, *shape: int) -> Any:
    return torch.randint(1, high, (ROWS, *shape))


def _history(steps: int = 12, shortest: int = 0) -> Any:
    lengths = torch.randint(shortest, steps + 1, (ROWS, 1))
    return torch.where(torch.arange(steps)[None] < lengths, _ids(100, steps), 0)


class _Bag(nn.Module):
    def __init__(self, mode: str, padding: int | None = None) -> None:
        super().__init__()
        self.bag = nn.EmbeddingBag(50, 8, mode=mode, padding_idx=padding)
        self.top = nn.Linear(8, 1)

    def forward(self, ids: Any) -> Any:
        return torch.sigmoid(self.top(self.bag(ids))).squeeze(-1)


class _WeightedBag(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.bag = nn.EmbeddingBag(50, 8, mode="sum")

    def forward(self, ids: Any, weights: Any) -> Any:
        return self.bag(ids, per_sample_weights=weights)


class _Interactions(nn.Module):
    """Bags of one id each, and the products of all pairs: the shape of DLRM."""

    def __init__(self, fields: int = 4) -> None:
        super().__init__()
        self.bags = nn.ModuleList([nn.EmbeddingBag(40, 8, mode="sum") for _ in range(fields)])
        self.bottom = nn.Linear(5, 8)
        rows, columns = torch.tril_indices(fields + 1, fields + 1, -1)
        self.register_buffer("rows", rows)
        self.register_buffer("columns", columns)
        self.top = nn.Linear(8 + len(rows), 1)

    def forward(self, dense: Any, ids: Any) -> Any:
        x = torch.relu(self.bottom(dense))
        bags = [bag(ids[:, place : place + 1]) for place, bag in enumerate(self.bags)]
        every = torch.stack([x, *bags], 1)
        pairs = torch.bmm(every, every.transpose(1, 2))[:, self.rows, self.columns]
        return torch.sigmoid(self.top(torch.cat([x, pairs], 1)))


class _LastItem(nn.Module):
    """Attention over a sequence, of which the item at a computed index counts, as in SASRec."""

    def __init__(self, steps: int = 12) -> None:
        super().__init__()
        self.items = nn.Embedding(100, 16, padding_idx=0)
        self.places = nn.Parameter(torch.randn(1, steps, 16))
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
        self.steps = steps

    def forward(self, history: Any, lengths: Any, candidates: Any) -> Any:
        x = self.items(history) + self.places
        later = ~torch.tril(torch.ones(self.steps, self.steps, dtype=torch.bool))
        y, _ = self.attention(x, x, x, attn_mask=later, need_weights=False)
        user = y[torch.arange(x.shape[0]), lengths - 1]
        return (user.unsqueeze(1) * self.items(candidates)).sum(-1)


class _Capsules(nn.Module):
    """Routing that starts from one table for every row, as in MIND."""

    def __init__(self, capsules: int = 4, steps: int = 12) -> None:
        super().__init__()
        self.items = nn.Embedding(100, 8, padding_idx=0)
        self.register_buffer("start", torch.randn(1, capsules, steps))

    def forward(self, history: Any) -> Any:
        x, kept = self.items(history), (history != 0).unsqueeze(1)
        routing = self.start.repeat(history.shape[0], 1, 1)
        for turn in range(3):
            masked = torch.where(kept, routing, torch.full_like(routing, -1e9))
            capsules = torch.softmax(masked, -1) @ x
            norm = (capsules**2).sum(-1, keepdim=True)
            capsules = norm / (1 + norm) * capsules / torch.sqrt(norm + 1e-4)
            if turn < 2:
                routing = routing + capsules @ x.transpose(1, 2)
        return capsules


class _Picked(nn.Module):
    """The best items of a history by their product with the candidate, as in SIM."""

    def __init__(self) -> None:
        super().__init__()
        self.items = nn.Embedding(100, 8)

    def forward(self, history: Any, candidate: Any) -> Any:
        x, q = self.items(history), self.items(candidate)
        best, places = torch.topk((x @ q.unsqueeze(-1)).squeeze(-1), 5, dim=1)
        picked = torch.gather(x, 1, places.unsqueeze(-1).expand(-1, -1, 8))
        return (torch.softmax(best, 1).unsqueeze(-1) * picked).sum(1)


class _Lengths(nn.Module):
    """A mean over as many steps as a length says; the mask comes from positions."""

    def __init__(self) -> None:
        super().__init__()
        self.items = nn.Embedding(100, 8)

    def forward(self, history: Any, lengths: Any) -> Any:
        steps = history.shape[1]
        mask = (torch.arange(steps)[None, :] < lengths[:, None]).float()
        total = (self.items(history) * mask.unsqueeze(-1)).sum(1)
        return total / mask.sum(1, keepdim=True).clamp(min=1)


class _Experts(nn.Module):
    """Each row's own matrix by its domain, as in STAR, and a state that starts from zeros."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.randn(3, 8, 4))
        self.cell = nn.GRUCell(4, 4)

    def forward(self, x: Any, domain: Any) -> Any:
        y = torch.bmm(x.unsqueeze(1), self.weights[domain]).squeeze(1)
        state = torch.zeros(x.shape[0], 4)
        for _ in range(3):
            state = self.cell(y, state)
        return functional.normalize(state, dim=-1)


# Name -> makes the network and its inputs.
MODELS: dict[str, Callable[[], tuple[Any, tuple[Any, ...]]]] = {
    **{f"bag {m}": (lambda m=m: (_Bag(m), (_ids(50, 6),))) for m in ("sum", "mean", "max")},
    "bag that skips padding": lambda: (_Bag("mean", 0), (_history(6) % 50,)),
    "weighted bag": lambda: (_WeightedBag(), (_ids(50, 6), torch.rand(ROWS, 6))),
    "interactions": lambda: (_Interactions(), (torch.randn(ROWS, 5), _ids(40, 4))),
    "last item": lambda: (
        _LastItem(),
        (_history(shortest=1), torch.randint(1, 13, (ROWS,)), _ids(100, 5)),
    ),
    "capsules": lambda: (_Capsules(), (_history(shortest=1),)),
    "picked": lambda: (_Picked(), (_ids(100, 12), _ids(100))),
    "lengths": lambda: (_Lengths(), (_ids(100, 12), torch.randint(0, 13, (ROWS,)))),
    "experts": lambda: (_Experts(), (torch.randn(ROWS, 8), torch.randint(0, 3, (ROWS,)))),
}
