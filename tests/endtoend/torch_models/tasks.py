"""Several tasks, domains and towers."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from tests.endtoend.torch_models.base import Shape, floats, ids

__all__ = ["TASKS"]


class _Experts(nn.Module):
    """Experts mixed by a gate a task, as in MMoE."""

    def __init__(self) -> None:
        super().__init__()
        self.items = nn.Embedding(100, 4)
        self.experts = nn.ModuleList(
            [nn.Sequential(nn.Linear(24, 16), nn.BatchNorm1d(16), nn.ReLU()) for _ in range(4)]
        )
        self.gates = nn.ModuleList([nn.Linear(24, 4) for _ in range(3)])
        self.towers = nn.ModuleList([nn.Linear(16, 1) for _ in range(3)])

    def forward(self, ids: Any) -> Any:
        e = self.items(ids).flatten(1)
        made = torch.stack([expert(e) for expert in self.experts], 2)
        found = []
        for gate, tower in zip(self.gates, self.towers, strict=True):
            weights = torch.softmax(gate(e), -1)
            found.append(tower((made * weights.unsqueeze(1)).sum(2)))
        click, buy = torch.sigmoid(found[0]), torch.sigmoid(found[1])
        return {"ctr": click, "cvr": buy, "ctcvr": click * buy, "time": torch.exp(found[2])}


class _Gated(nn.Module):
    """Fields scaled by their domain, as in PEPNet."""

    def __init__(self) -> None:
        super().__init__()
        self.items, self.domains = nn.Embedding(100, 4), nn.Embedding(5, 4)
        self.gate = nn.Sequential(nn.Linear(28, 16), nn.ReLU(), nn.Linear(16, 24), nn.Sigmoid())
        self.top = nn.Linear(24, 1)

    def forward(self, ids: Any, domain: Any) -> Any:
        e = self.items(ids).flatten(1)
        gate = self.gate(torch.cat([self.domains(domain), e.detach()], 1))
        return torch.sigmoid(self.top(e * 2 * gate))


class _OfDomain(nn.Module):
    """Each row's own matrix by its domain, as in STAR."""

    def __init__(self) -> None:
        super().__init__()
        self.own = nn.Parameter(torch.randn(3, 8, 4))
        self.shared = nn.Parameter(torch.randn(8, 4))
        self.bias = nn.Parameter(torch.randn(3, 4))

    def forward(self, x: Any, domain: Any) -> Any:
        matrices = self.own[domain] * self.shared
        return torch.bmm(x.unsqueeze(1), matrices).squeeze(1) + self.bias[domain]


class _Towers(nn.Module):
    """Cosines of a user and an item, as in DSSM."""

    def __init__(self) -> None:
        super().__init__()
        self.users, self.items = nn.Embedding(100, 16), nn.Embedding(100, 16)
        self.temperature = nn.Parameter(torch.tensor(0.05))

    def forward(self, user: Any, item: Any) -> Any:
        cosine = functional.cosine_similarity(self.users(user).mean(1), self.items(item), dim=-1)
        return cosine / self.temperature, functional.normalize(self.users(user).sum(1), dim=-1)


TASKS = {
    "MMoE": Shape(_Experts, lambda rows: (ids(rows, 100, 6),)),
    "PEPNet": Shape(_Gated, lambda rows: (ids(rows, 100, 6), ids(rows, 5))),
    "STAR": Shape(_OfDomain, lambda rows: (floats(rows, 8), ids(rows, 3))),
    "DSSM": Shape(_Towers, lambda rows: (ids(rows, 100, 3), ids(rows, 100))),
}
