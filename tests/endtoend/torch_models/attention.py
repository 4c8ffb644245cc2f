"""Attention over histories, and routing."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from tests.endtoend.torch_models.base import NEW, Shape, history, ids

__all__ = ["ATTENTION"]

_STEPS = 20


class _Transformer(nn.Module):
    """A transformer layer over the history and the candidate, as in BST."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.items = nn.Embedding(100, width, padding_idx=0)
        self.places = nn.Embedding(_STEPS + 1, width)
        layer = nn.TransformerEncoderLayer(width, 4, 32, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.top = nn.Sequential(
            nn.Linear(width * (_STEPS + 1), 32), nn.LeakyReLU(), nn.Linear(32, 1)
        )

    def forward(self, history: Any, candidate: Any) -> Any:
        x = torch.cat([history, candidate.unsqueeze(1)], 1)
        places = torch.arange(x.shape[1]).unsqueeze(0)
        y = self.layers(self.items(x) + self.places(places), src_key_padding_mask=x == 0)
        return torch.sigmoid(self.top(y.flatten(1))).squeeze(1)


class _TargetAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.items = nn.Embedding(100, 16, padding_idx=0)
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
        self.top = nn.Linear(16, 1)

    def forward(self, history: Any, candidate: Any) -> Any:
        keys, query = self.items(history), self.items(candidate).unsqueeze(1)
        y, weights = self.attention(query, keys, keys, key_padding_mask=history == 0)
        return torch.sigmoid(self.top(y.squeeze(1))), weights


class _MaskedAttention(nn.Module):
    """Scaled dot products under a mask of bools, as in SASRec."""

    def __init__(self) -> None:
        super().__init__()
        self.items = nn.Embedding(100, 16, padding_idx=0)
        self.query, self.key, self.value = (nn.Linear(16, 16) for _ in range(3))
        self.norm = nn.LayerNorm(16)

    def forward(self, history: Any) -> Any:
        x = self.items(history)
        earlier = torch.tril(torch.ones(_STEPS, _STEPS, dtype=torch.bool))
        mask = earlier[None, None] & (history != 0)[:, None, None, :]
        heads = [
            layer(x).view(-1, _STEPS, 2, 8).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        ]
        y = functional.scaled_dot_product_attention(*heads, attn_mask=mask)
        return self.norm(y.transpose(1, 2).reshape(-1, _STEPS, 16) + x)[:, -1]


class _LastItem(nn.Module):
    """The item at a computed index, as in SASRec."""

    def __init__(self) -> None:
        super().__init__()
        self.items = nn.Embedding(100, 16, padding_idx=0)
        self.places = nn.Parameter(torch.randn(1, _STEPS, 16))
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
        self.norm = nn.LayerNorm(16, eps=1e-8)
        self.first, self.second = nn.Conv1d(16, 16, 1), nn.Conv1d(16, 16, 1)

    def forward(self, history: Any, lengths: Any, candidates: Any) -> Any:
        x = self.items(history) * 4.0 + self.places
        x = x * (history != 0).unsqueeze(-1)
        later = ~torch.tril(torch.ones(_STEPS, _STEPS, dtype=torch.bool))
        y, _ = self.attention(self.norm(x), x, x, attn_mask=later, need_weights=False)
        x = self.norm(x + y)
        x = x + self.second(torch.relu(self.first(x.transpose(1, 2)))).transpose(1, 2)
        user = x[torch.arange(x.shape[0]), lengths - 1]
        return (user.unsqueeze(1) * self.items(candidates)).sum(-1)


class _Capsules(nn.Module):
    """Routing that starts from one table for every row, as in MIND."""

    def __init__(self, capsules: int = 4, width: int = 8) -> None:
        super().__init__()
        self.items = nn.Embedding(100, width, padding_idx=0)
        self.share = nn.Parameter(torch.randn(width, width) * 0.2)  # routing stays soft
        self.register_buffer("start", torch.randn(1, capsules, _STEPS))

    def forward(self, history: Any, candidate: Any) -> Any:
        x, kept = self.items(history) @ self.share, (history != 0).unsqueeze(1)
        routing = self.start.repeat(history.shape[0], 1, 1)
        for turn in range(3):
            masked = torch.where(kept, routing, torch.full_like(routing, -(2**32) + 1))
            capsules = torch.softmax(masked, -1) @ x
            norm = (capsules**2).sum(-1, keepdim=True)
            capsules = norm / (1 + norm) * capsules / torch.sqrt(norm + 1e-9)
            if turn < 2:
                routing = routing + capsules @ x.transpose(1, 2)
        query = self.items(candidate).unsqueeze(1)
        weights = torch.softmax((capsules @ query.transpose(1, 2)).squeeze(-1) * 2.0, -1)
        return (weights.unsqueeze(-1) * capsules).sum(1), capsules, torch.argmax(weights, 1)


class _PointwiseAttention(nn.Module):
    """Attention without softmax, biased by buckets of time, as in HSTU."""

    def __init__(self, width: int = 16, heads: int = 2) -> None:
        super().__init__()
        self.items = nn.Embedding(100, width, padding_idx=0)
        self.shares, self.top = nn.Linear(width, 4 * width), nn.Linear(width, width)
        self.before, self.behind = nn.LayerNorm(width), nn.LayerNorm(width)
        self.times = nn.Embedding(129, 1)
        self.width, self.heads = width, heads

    def _heads(self, x: Any) -> Any:
        return x.view(-1, _STEPS, self.heads, self.width // self.heads).transpose(1, 2)

    def forward(self, history: Any, times: Any) -> Any:
        x = self.items(history)
        shares = functional.silu(self.shares(self.before(x)))
        u, v, q, k = torch.split(shares, self.width, -1)
        apart = (times.unsqueeze(2) - times.unsqueeze(1)).abs().float().clamp(min=1)
        buckets = torch.clamp((torch.log(apart) / 0.301).long(), 0, 128)
        scores = self._heads(q) @ self._heads(k).transpose(-1, -2)
        scores = functional.silu(scores + self.times(buckets).squeeze(-1).unsqueeze(1)) / _STEPS
        scores = scores * torch.tril(torch.ones(_STEPS, _STEPS))
        y = (scores @ self._heads(v)).transpose(1, 2).reshape(-1, _STEPS, self.width)
        return (self.top(u * self.behind(y)) + x)[:, -1, :]


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


class _FieldAttention(nn.Module):
    """Attention among the fields, as in AutoInt."""

    def __init__(self, fields: int = 6, width: int = 8) -> None:
        super().__init__()
        self.items = nn.Embedding(100, width)
        self.shares = nn.Parameter(torch.randn(3, width, width))
        self.residual = nn.Parameter(torch.randn(width, width))
        self.top = nn.Linear(fields * width, 1)

    def forward(self, ids: Any) -> Any:
        e = self.items(ids)
        shares = (torch.tensordot(e, share, dims=([-1], [0])) for share in self.shares)
        q, k, v = (torch.stack(torch.split(share, 4, 2)) for share in shares)
        weights = functional.softmax(torch.einsum("bnik,bnjk->bnij", q, k), -1)
        y = torch.cat(torch.split(torch.matmul(weights, v), 1), -1).squeeze(0)
        y = torch.relu(y + torch.tensordot(e, self.residual, dims=([-1], [0])))
        return torch.sigmoid(self.top(torch.flatten(y, 1)))


def _item(rows: int) -> Any:
    return ids(rows, 100, low=1)


def _some(rows: int) -> Any:
    """Histories of several items, and one of none: of one item all capsules are equal, and which is
    the largest is up to rounding."""
    found = history(rows, shortest=2)
    found[0] = 0
    return found


def _seconds(rows: int) -> Any:
    return torch.randint(1_600_000_000, 1_700_000_000, (rows, _STEPS))


ATTENTION = {
    "BST": Shape(_Transformer, lambda rows: (history(rows), _item(rows))),
    "target attention": Shape(
        _TargetAttention, lambda rows: (history(rows, shortest=1), _item(rows))
    ),
    "SASRec, masked": Shape(
        _MaskedAttention,
        lambda rows: (history(rows),),
        changed=(NEW,),
        why="a mask of -3.4e38 in place of -inf: an empty history gives an average, not zeros",
    ),
    "SASRec, last item": Shape(
        _LastItem,
        lambda rows: (
            history(rows, shortest=1),
            torch.randint(1, _STEPS + 1, (rows,)),
            ids(rows, 100, 5, low=1),
        ),
    ),
    "MIND": Shape(
        _Capsules,
        lambda rows: (_some(rows), _item(rows)),
        changed=(NEW,),
        why="onnxscript removes the addition of 1e-9: an empty history divides 0 by 0",
    ),
    "HSTU": Shape(_PointwiseAttention, lambda rows: (history(rows), _seconds(rows))),
    "SIM": Shape(_Picked, lambda rows: (history(rows), ids(rows, 100))),
    "AutoInt": Shape(_FieldAttention, lambda rows: (ids(rows, 100, 6),)),
}
