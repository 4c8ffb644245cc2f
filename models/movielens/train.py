"""Train both networks, write graphs and tables: `python -m rtcompile.models.movielens.train`.

The features come from the same compiled kernels that an artifact runs. What is multi-valued
(genres, title words) is pooled from tables outside of the graph, which are trained along and
written as safetensors. Needs torch.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from rtcompile.features import compile_features
from rtcompile.models.movielens.data import Interactions, load
from rtcompile.models.movielens.examples import (
    LENGTH,
    Example,
    examples,
    item_fields,
    split,
    user_fields,
)
from rtcompile.models.movielens.networks import DIMENSION, IDS, NETWORKS
from rtcompile.verification.area_under_curve import area_under_curve

__all__ = ["main", "train"]

FOLDER = Path(__file__).parent
_BATCH, _EPOCHS, _PATIENCE = 1024, 30, 3
_TABLES = {"genres": 19, "title": 2000}


class _Rows:
    """The features of examples: tensors a row, and of the items what is pooled."""

    def __init__(self, data: Interactions, name: str) -> None:
        self._data = data
        self._extract = compile_features(FOLDER / f"fg_{name}.json")
        table = item_fields(data)
        order = [int(item) for item in table["item_id"]]
        columns = self._columns([Example("1", item, (), 0) for item in table["item_id"]])
        self.bags = {}
        for part in _TABLES:
            ids, counts = columns[part].values, columns[part].lengths
            assert counts is not None
            lists: list[Any] = [[]] * IDS["item_id"]
            for item, ids_of_item in zip(order, np.split(ids, np.cumsum(counts)[:-1]), strict=True):
                lists[item] = ids_of_item.tolist()
            flat = torch.tensor([i for one in lists for i in one])
            starts = np.cumsum([0, *map(len, lists)])[:-1]
            self.bags[part] = (flat, torch.from_numpy(starts))

    def _columns(self, rows: list[Example]) -> Any:
        users = [user_fields(self._data, e.user_id, e.history) for e in rows]
        items = {item: row for row, item in enumerate(item_fields(self._data)["item_id"])}
        fields = item_fields(self._data)
        columns = {name: [user[name] for user in users] for name in users[0]}
        for name, values in fields.items():
            columns[name] = [values[items[e.item_id]] for e in rows]
        return self._extract(columns)

    def tensors(self, rows: list[Example]) -> dict[str, Tensor]:
        """Single ids [n], numbers [n, 1], history [n, LENGTH] and its length [n], labels [n]."""
        columns = self._columns(rows)
        found = {name: torch.from_numpy(columns[name].values) for name in (*IDS, "age", "year")}
        history = np.zeros((len(rows), LENGTH), np.int64)
        for row, example in enumerate(rows):
            history[row, : len(example.history)] = [int(item) for item in example.history]
        found["hist__item_id"] = torch.from_numpy(history)
        # An empty history has one element, the default.
        lengths = [max(1, len(example.history)) for example in rows]
        found["hist__len"] = torch.tensor(lengths)
        found["label"] = torch.tensor([float(example.label) for example in rows])
        return found


class _Trained(nn.Module):  # type: ignore[misc]
    """The network with the tables of what is pooled."""

    def __init__(self, name: str, bags: Any) -> None:
        super().__init__()
        self.network = NETWORKS[name]()
        self.bags = bags
        self.pooled = nn.ModuleDict(
            {n: nn.EmbeddingBag(rows, DIMENSION, mode="mean") for n, rows in _TABLES.items()}
        )
        for table in self.pooled.values():
            nn.init.normal_(table.weight, std=0.01)

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        """Scores [n] of a batch of `_Rows.tensors`."""
        of_items = {name: self.pooled[name](*self.bags[name]) for name in _TABLES}
        given = dict(batch)
        for name, vectors in of_items.items():
            given[name] = vectors[batch["item_id"]]
        given["hist__genres"] = of_items["genres"][batch["hist__item_id"]]
        scores: Tensor = self.network(*(given[name] for name in self.network.names))
        return scores


def train(name: str, data: Interactions, folder: Path = FOLDER, seed: int = 1) -> float:
    """Train "deepfm" or "din", write NAME.onnx and NAME.safetensors; returns the test's AUC."""
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True)
    rows = _Rows(data, name)
    found = examples(data)
    parts = {part: rows.tensors(split(found, part)) for part in ("train", "validate", "test")}
    model = _Trained(name, rows.bags)
    best = _fit(model, parts)
    model.load_state_dict(best)
    model.eval()
    _export(name, model, folder)
    return _auc(model, parts["test"])


def _fit(model: nn.Module, parts: dict[str, dict[str, Tensor]]) -> dict[str, Tensor]:
    """The weights of the epoch with the best AUC on the validation part."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1)
    loss = nn.BCELoss()
    count = len(parts["train"]["label"])
    best, state, waited = 0.0, {}, 0
    for epoch in range(_EPOCHS):
        model.train()
        for chosen in torch.randperm(count).split(_BATCH):
            batch = {name: tensor[chosen] for name, tensor in parts["train"].items()}
            optimizer.zero_grad()
            loss(model(batch), batch["label"]).backward()
            optimizer.step()
        model.eval()
        reached = _auc(model, parts["validate"])
        print(f"epoch {epoch}: validation AUC {reached:.4f}", flush=True)
        if reached > best:
            best, waited = reached, 0
            state = {key: value.clone() for key, value in model.state_dict().items()}
        else:
            waited += 1
            if waited == _PATIENCE:
                break
    return state


def _auc(model: nn.Module, part: dict[str, Tensor]) -> float:
    count, scores = len(part["label"]), []
    with torch.no_grad():
        for chosen in torch.arange(count).split(4 * _BATCH):
            scores.append(model({name: tensor[chosen] for name, tensor in part.items()}))
    return area_under_curve(part["label"].numpy(), torch.cat(scores).numpy())


def _export(name: str, model: Any, folder: Path) -> None:
    network = model.network
    shapes: dict[str, tuple[int, ...]] = {
        **dict.fromkeys((*IDS, "hist__len"), ()),
        **dict.fromkeys(("age", "year"), (1,)),
        **dict.fromkeys(_TABLES, (DIMENSION,)),
        "hist__item_id": (LENGTH,),
        "hist__genres": (LENGTH, DIMENSION),
    }
    integers = {*IDS, "hist__len", "hist__item_id"}
    inputs = tuple(
        torch.ones((3, *shapes[n]), dtype=torch.int64 if n in integers else torch.float32)
        for n in network.names
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecation notices
        torch.onnx.export(
            network,
            inputs,
            str(folder / f"{name}.onnx"),
            input_names=list(network.names),
            output_names=["ctr"],
            dynamic_axes={n: {0: "batch"} for n in (*network.names, "ctr")},
            opset_version=17,
            dynamo=False,
        )
    tables = {n: model.pooled[n].weight.detach().clone() for n in _TABLES}
    path = folder / f"{name}.safetensors"
    save_file(tables, str(path))
    path.chmod(0o644)


def main() -> None:
    """Train both."""
    data = load()
    for name in NETWORKS:
        print(f"{name}: test AUC {train(name, data):.4f}", flush=True)


if __name__ == "__main__":
    main()
