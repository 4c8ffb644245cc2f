"""The networks: a DeepFM and a DIN. What is multi-valued comes pooled; see `train.py`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from rtcompile.models.movielens.examples import LENGTH

__all__ = ["DIMENSION", "DIN", "IDS", "DeepFM"]

DIMENSION = 16
# Single-valued id features, whose tables are in the graph, and their rows.
IDS = {
    "user_id": 944,
    "age_bucket": 7,
    "gender": 4,
    "occupation": 50,
    "zip_code": 1000,
    "item_id": 1683,
}
DENSE = ("age", "year")
POOLED = ("genres", "title")


def _table(rows: int, dimension: int) -> nn.Embedding:
    """Near zero at first, so that an id never seen in training counts as nothing."""
    table = nn.Embedding(rows, dimension)
    nn.init.normal_(table.weight, std=0.01)
    return table


def _mlp(width: int, hidden: tuple[int, ...], dropout: float) -> nn.Sequential:
    layers: list[nn.Module] = []
    for units in hidden:
        layers += [nn.Linear(width, units), nn.ReLU(), nn.Dropout(dropout)]
        width = units
    return nn.Sequential(*layers, nn.Linear(width, 1))


class DeepFM(nn.Module):  # type: ignore[misc]
    """sigmoid(first order + pairwise products of the field vectors + MLP)."""

    names = (*IDS, *DENSE, *POOLED)

    def __init__(self) -> None:
        super().__init__()
        self.tables = nn.ModuleDict({n: _table(rows, DIMENSION) for n, rows in IDS.items()})
        self.first = nn.ModuleDict({n: _table(rows, 1) for n, rows in IDS.items()})
        width = DIMENSION * (len(IDS) + len(POOLED)) + len(DENSE)
        self.linear = nn.Linear(DIMENSION * len(POOLED) + len(DENSE), 1)
        self.mlp = _mlp(width, (128, 64), 0.3)

    def forward(self, *inputs: Tensor) -> Tensor:
        """[n], from the inputs in the order of `names`."""
        given: dict[str, Tensor] = dict(zip(self.names, inputs, strict=True))
        pooled = [given[name] for name in POOLED]
        dense = torch.cat([given[name] for name in DENSE], 1)
        vectors = [self.tables[name](given[name]) for name in IDS] + pooled
        fields = torch.stack(vectors, 1)
        pairs = 0.5 * (fields.sum(1) ** 2 - (fields**2).sum(1)).sum(1, keepdim=True)
        first = self.linear(torch.cat([*pooled, dense], 1))
        for name in IDS:
            first = first + self.first[name](given[name])
        deep = self.mlp(torch.cat([*vectors, dense], 1))
        return torch.sigmoid(first + pairs + deep).squeeze(1)


class DIN(nn.Module):  # type: ignore[misc]
    """An MLP over the fields and the history, each element weighted by its fit to the item."""

    names = (*IDS, *DENSE, *POOLED, "hist__item_id", "hist__genres", "hist__len")

    def __init__(self) -> None:
        super().__init__()
        self.tables = nn.ModuleDict({n: _table(rows, DIMENSION) for n, rows in IDS.items()})
        self.attention = nn.Sequential(nn.Linear(8 * DIMENSION, 36), nn.ReLU(), nn.Linear(36, 1))
        width = DIMENSION * (len(IDS) + len(POOLED) + 2) + len(DENSE)
        self.mlp = _mlp(width, (128, 64), 0.3)
        self.register_buffer("places", torch.arange(LENGTH).reshape(1, LENGTH), persistent=False)

    def forward(self, *inputs: Tensor) -> Tensor:
        """[n], from the inputs in the order of `names`."""
        given: dict[str, Tensor] = dict(zip(self.names, inputs, strict=True))
        vectors = [self.tables[name](given[name]) for name in IDS]
        pooled = [given[name] for name in POOLED]
        clicked = self.tables["item_id"](given["hist__item_id"])
        keys = torch.cat([clicked, given["hist__genres"]], 2)
        target = torch.cat([self.tables["item_id"](given["item_id"]), given["genres"]], 1)
        query = target.unsqueeze(1).expand(-1, LENGTH, -1)
        unit = torch.cat([query, keys, query - keys, query * keys], 2)
        mask = (self.places < given["hist__len"].unsqueeze(1)).to(torch.float32)
        weights = torch.sigmoid(self.attention(unit).squeeze(2)) * mask
        count = given["hist__len"].to(torch.float32).unsqueeze(1)
        interest = (weights.unsqueeze(2) * keys).sum(1) / count
        dense = [given[name] for name in DENSE]
        return torch.sigmoid(self.mlp(torch.cat([*vectors, *pooled, interest, *dense], 1))).squeeze(
            1
        )


NETWORKS: dict[str, Any] = {"deepfm": DeepFM, "din": DIN}
