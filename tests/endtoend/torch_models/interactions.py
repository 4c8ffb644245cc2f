"""Products of fields, crosses, masks and convolutions over them."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from tests.endtoend.torch_models.base import Shape, ids

__all__ = ["INTERACTIONS"]

_FIELDS = 6


class _CrossMixture(nn.Module):
    """Low-rank crosses of experts, as in DCN-Mix."""

    def __init__(self, width: int = 24, rank: int = 4, experts: int = 3, layers: int = 2) -> None:
        super().__init__()
        self.items = nn.Embedding(100, 4)
        self.up = nn.Parameter(torch.randn(layers, experts, width, rank) * 0.3)
        self.down = nn.Parameter(torch.randn(layers, experts, width, rank) * 0.3)
        self.core = nn.Parameter(torch.randn(layers, experts, rank, rank) * 0.3)
        self.bias = nn.Parameter(torch.randn(layers, width, 1) * 0.3)
        self.gates = nn.ModuleList([nn.Linear(width, 1, bias=False) for _ in range(experts)])

    def forward(self, ids: Any) -> Any:
        first = self.items(ids).flatten(1).unsqueeze(2)
        x = first
        for layer, bias in enumerate(self.bias):
            found, gates = [], []
            for expert, gate in enumerate(self.gates):
                gates.append(gate(x.squeeze(2)))
                low = torch.tanh(self.down[layer][expert].t() @ x)
                low = torch.tanh(self.core[layer][expert] @ low)
                found.append((first * (self.up[layer][expert] @ low + bias)).squeeze(2))
            x = torch.stack(found, 2) @ torch.stack(gates, 1).softmax(1) + x
        return x.squeeze(2)


class _TwoStreams(nn.Module):
    """Two networks, joined by a product of heads, as in FinalMLP."""

    def __init__(self, width: int = 24, heads: int = 2) -> None:
        super().__init__()
        self.items = nn.Embedding(100, 4)
        self.gate = nn.Sequential(
            nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.Sigmoid()
        )
        self.left, self.right = nn.Linear(width, 16), nn.Linear(width, 16)
        self.of_left, self.of_right = nn.Linear(16, 1), nn.Linear(16, 1)
        self.pairs = nn.Parameter(torch.randn(heads * 8 * 8, 1))
        self.heads = heads

    def forward(self, ids: Any) -> Any:
        e = self.items(ids).flatten(1)
        left, right = self.left(e * self.gate(e) * 2), self.right(e)
        a, b = (side.view(-1, self.heads, 8) for side in (left, right))
        product = torch.matmul(a.unsqueeze(2), self.pairs.view(self.heads, 8, -1))
        product = torch.matmul(product.view(-1, self.heads, 1, 8), b.unsqueeze(-1)).squeeze(-1)
        return torch.sigmoid(self.of_left(left) + self.of_right(right) + product.sum(1))


class _MaskOfFields(nn.Module):
    """Normalised fields times a mask that all of them make, as in MaskNet."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        whole = _FIELDS * width
        self.items = nn.Embedding(100, width)
        self.norms = nn.ModuleList([nn.LayerNorm(width) for _ in range(_FIELDS)])
        self.mask = nn.Sequential(
            nn.Linear(whole, 2 * whole), nn.ReLU(), nn.Linear(2 * whole, whole)
        )
        self.top = nn.Sequential(
            nn.Linear(whole, 16), nn.LayerNorm(16), nn.ReLU(), nn.Linear(16, 1)
        )

    def forward(self, ids: Any) -> Any:
        e = self.items(ids)
        normed = torch.cat([norm(e[:, at]) for at, norm in enumerate(self.norms)], -1)
        return torch.sigmoid(self.top(self.mask(e.flatten(1)) * normed))


class _FieldConvolution(nn.Module):
    """Convolutions and pools over the fields, as in FGCNN."""

    def __init__(self, fields: int = 8, width: int = 4) -> None:
        super().__init__()
        made = 2 * (fields // 2)
        self.items = nn.Embedding(100, width)
        self.convolution = nn.Conv2d(1, 3, (3, 1), padding=(1, 0))
        self.pool = nn.MaxPool2d((2, 1))
        self.mixed = nn.Linear(3 * (fields // 2) * width, made * width)
        self.top = nn.Linear((made + fields) * width, 1)
        self.shape = (-1, made, width)

    def forward(self, ids: Any) -> Any:
        e = self.items(ids)
        y = self.pool(torch.tanh(self.convolution(e.unsqueeze(1))))
        made = torch.tanh(self.mixed(y.flatten(1))).reshape(self.shape)
        return torch.sigmoid(self.top(torch.cat([e, made], 1).flatten(1)))


class _FieldAware(nn.Module):
    """A table for each field of the other, as in FFM."""

    def __init__(self, fields: int = 5) -> None:
        super().__init__()
        self.tables = nn.ModuleList([nn.Embedding(50, 3) for _ in range(fields)])

    def forward(self, ids: Any) -> Any:
        x = [table(ids) for table in self.tables]
        pairs = [x[j][:, i] * x[i][:, j] for i in range(len(x) - 1) for j in range(i + 1, len(x))]
        return torch.stack(pairs, 1).sum((1, 2))


class _OuterProducts(nn.Module):
    """A kernel for each pair of fields, as in PNN."""

    def __init__(self, fields: int = 5) -> None:
        super().__init__()
        self.items = nn.Embedding(50, 4)
        rows, columns = torch.triu_indices(fields, fields, 1)
        self.register_buffer("rows", rows)
        self.register_buffer("columns", columns)
        self.kernel = nn.Parameter(torch.randn(4, len(rows), 4))

    def forward(self, ids: Any) -> Any:
        e = self.items(ids)
        p, q = e[:, self.rows], e[:, self.columns]
        product = (p.unsqueeze(1) * self.kernel).sum(-1).permute(0, 2, 1)
        return (product * q).sum(-1)


INTERACTIONS = {
    "DCN-Mix": Shape(_CrossMixture, lambda rows: (ids(rows, 100, _FIELDS),)),
    "FinalMLP": Shape(_TwoStreams, lambda rows: (ids(rows, 100, _FIELDS),)),
    "MaskNet": Shape(_MaskOfFields, lambda rows: (ids(rows, 100, _FIELDS),)),
    "FGCNN": Shape(_FieldConvolution, lambda rows: (ids(rows, 100, 8),)),
    "FFM": Shape(_FieldAware, lambda rows: (ids(rows, 50, 5),)),
    "PNN": Shape(_OuterProducts, lambda rows: (ids(rows, 50, 5),)),
}
