"""Recurrent layers, convolutions and means over a sequence."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from tests.endtoend.torch_models.base import Shape, history, ids

__all__ = ["SEQUENCES"]


class _Recurrent(nn.Module):
    def __init__(self, kind: Any, both_ways: bool = False) -> None:
        super().__init__()
        self.items = nn.Embedding(100, 8, padding_idx=0)
        self.layers = kind(8, 12, batch_first=True, bidirectional=both_ways, num_layers=2)
        self.top = nn.Linear(12 * (1 + both_ways), 1)

    def forward(self, history: Any) -> Any:
        y, _ = self.layers(self.items(history))
        return self.top(y[:, -1])


class _AttendedCell(nn.Module):
    """A cell whose update is scaled by attention, as in DIEN."""

    def __init__(self, steps: int = 6, width: int = 8) -> None:
        super().__init__()
        self.items = nn.Embedding(100, width, padding_idx=0)
        self.cell, self.score = nn.GRUCell(width, width), nn.Linear(2 * width, 1)
        self.steps = steps

    def forward(self, history: Any, candidate: Any) -> Any:
        x, q = self.items(history), self.items(candidate)
        pairs = torch.cat([x, q.unsqueeze(1).expand(-1, self.steps, -1)], -1)
        scores = self.score(pairs).squeeze(-1).masked_fill(history == 0, -1e9)
        weights, state = torch.softmax(scores, 1), torch.zeros_like(x[:, 0])
        for step in range(self.steps):
            weight = weights[:, step : step + 1]
            moved = (1 - weight) * state + weight * self.cell(x[:, step], state)
            state = torch.where((history[:, step] != 0).unsqueeze(1), moved, state)
        return state


class _Convolutions(nn.Module):
    """Convolutions along steps and along columns, as in Caser."""

    def __init__(self, steps: int = 10, width: int = 8) -> None:
        super().__init__()
        self.items = nn.Embedding(100, width)
        self.columns = nn.Conv2d(1, 4, (steps, 1))
        self.windows = nn.ModuleList([nn.Conv2d(1, 3, (size, width)) for size in (1, 2, 3)])
        self.top, self.steps = nn.Linear(4 * width + 9, width), steps

    def forward(self, history: Any, candidate: Any) -> Any:
        e = self.items(history).unsqueeze(1)
        found = [self.columns(e).view(-1, 32)]
        for window in self.windows:
            seen = functional.relu(window(e).squeeze(3))
            size = self.steps + 1 - window.kernel_size[0]
            found.append(functional.max_pool1d(seen, size).squeeze(2))
        return (self.top(torch.cat(found, 1)) * self.items(candidate)).sum(1)


class _MeanOfLength(nn.Module):
    """A mean over as many steps as a length says; the mask comes from positions."""

    def __init__(self) -> None:
        super().__init__()
        self.items = nn.Embedding(100, 8)

    def forward(self, history: Any, lengths: Any) -> Any:
        mask = (torch.arange(history.shape[1])[None, :] < lengths[:, None]).float()
        total = (self.items(history) * mask.unsqueeze(-1)).sum(1)
        return total / mask.sum(1, keepdim=True).clamp(min=1)


SEQUENCES = {
    "GRU": Shape(lambda: _Recurrent(nn.GRU), lambda rows: (history(rows),)),
    "LSTM both ways": Shape(lambda: _Recurrent(nn.LSTM, True), lambda rows: (history(rows),)),
    "RNN": Shape(lambda: _Recurrent(nn.RNN), lambda rows: (history(rows),)),
    "DIEN": Shape(_AttendedCell, lambda rows: (history(rows, 6), ids(rows, 100, low=1))),
    "Caser": Shape(_Convolutions, lambda rows: (ids(rows, 100, 10), ids(rows, 100))),
    "mean of a length": Shape(
        _MeanOfLength, lambda rows: (ids(rows, 100, 20), torch.randint(0, 21, (rows,)))
    ),
}
