"""torch-rechub models with seeded random weights, exported to ONNX with a dynamic batch.

Each graph takes the inputs that its features name: ids int64 [n], padded sequences of ids int64
[n, 20], numbers float32 [n]. `rechub_forms.py` has the form in which a model is exported; the
reference is always the library's own forward.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from rtcompile.models.zoo.rechub_forms import exportable

__all__ = ["FEWEST_ROWS", "MODELS", "Exported", "export", "inputs"]

DIMENSION, LENGTH = 16, 20
_USER = {"user_id": 2000, "gender": 3, "age": 8, "occupation": 21, "city": 300, "device": 12}
_ITEM = {"item_id": 1000, "cate_id": 50}
_HISTORY = {"hist_item": "item_id", "hist_cate": "cate_id"}
_NUMBERS = ("price", "ctr_7d", "ctr_30d", "age_days")

_SINGLE = ["WideDeep", "DeepFM", "DCN", "DCNv2", "EDCN", "AFM", "FiBiNet", "AutoInt"]
_SEQUENCE = ["DIN", "DIEN", "BST", "GRU4Rec", "NARM", "STAMP"]
_MULTI = ["SharedBottom", "ESMM", "MMOE", "PLE", "AITM"]
MODELS = (*_SINGLE, *_SEQUENCE, *_MULTI, "DSSM")
FEWEST_ROWS: Mapping[str, int] = {}

Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Exported:
    """An exported model and its original."""

    path: Path
    module: torch.nn.Module

    def reference(self, given: Mapping[str, npt.NDArray[Any]]) -> list[npt.NDArray[Any]]:
        """The original's outputs, one array an output, of `inputs`."""
        with torch.no_grad():
            result = self.module({name: torch.from_numpy(array) for name, array in given.items()})
        # Behind DIEN's scores there is a loss, for training.
        scores = result[0] if isinstance(result, tuple) else result
        # NARM and STAMP squeeze a batch of one away.
        return [np.atleast_1d(scores.numpy())]


def inputs(count: int, seed: int, shortest: int = 1) -> Arrays:
    """Every input that a model may take. Histories are filled from the left; the first is full."""
    rng = np.random.default_rng(seed)
    x: Arrays = {k: rng.integers(1, v, count) for k, v in {**_USER, **_ITEM}.items()}
    filled = rng.integers(shortest, LENGTH + 1, count)
    filled[0] = LENGTH
    inside = np.arange(LENGTH) < filled[:, None]
    for name, table in _HISTORY.items():
        x[name] = rng.integers(1, _ITEM[table], (count, LENGTH)) * inside
        x[f"neg_{name}"] = rng.integers(1, _ITEM[table], (count, LENGTH)) * inside
    for name in _NUMBERS:
        x[name] = rng.normal(size=count).astype(np.float32)
    return x


class _Features:
    """The library's feature objects; a fresh set a model, since they hold its tables."""

    def __init__(self) -> None:
        from torch_rechub.basic.features import DenseFeature, SparseFeature

        self.user = [SparseFeature(k, v, DIMENSION) for k, v in _USER.items()]
        self.item = [SparseFeature(k, v, DIMENSION, padding_idx=0) for k, v in _ITEM.items()]
        self.numbers = [DenseFeature(name) for name in _NUMBERS]
        self.history = [_sequence(k, v) for k, v in _HISTORY.items()]
        self.negative = [_sequence(f"neg_{k}", v) for k, v in _HISTORY.items()]
        self.pooled = [_sequence(k, v, "mean") for k, v in _HISTORY.items()]
        self.sparse = [*self.user, *self.item]
        self.all = [*self.sparse, *self.numbers, *self.pooled]


def _sequence(name: str, table: str, pooling: str = "concat", alone: bool = False) -> Any:
    from torch_rechub.basic.features import SequenceFeature

    shared = None if alone else table
    size = _ITEM[table]
    return SequenceFeature(name, size, DIMENSION, pooling, shared_with=shared, padding_idx=0)


def _arguments(name: str, f: _Features) -> tuple[list[Any], dict[str, Any]]:
    """What the constructor of the model `name` takes."""
    mlp: dict[str, Any] = {"dims": [128, 64]}
    towers = [{"dims": [32]}, {"dims": [32]}]
    tasks = ["classification", "classification"]
    alone = _sequence("hist_item", "item_id", alone=True)
    context = [*f.user, *f.numbers]
    given: dict[str, tuple[list[Any], dict[str, Any]]] = {
        "WideDeep": ([[*f.sparse, *f.numbers], [*f.sparse, *f.pooled], mlp], {}),
        "DeepFM": ([f.all, f.sparse, mlp], {}),
        "DCN": ([f.all, 3, mlp], {}),
        "DCNv2": ([f.all, 3, mlp], {"use_low_rank_mixture": False}),
        "EDCN": ([f.sparse, 2, {}], {}),
        "AFM": ([f.sparse, DIMENSION], {}),
        "FiBiNet": ([f.sparse, mlp], {}),
        "AutoInt": ([f.sparse, f.numbers], {"mlp_params": mlp}),
        "DIN": ([f.user, f.history, f.item, mlp, {"dims": [64, 32]}], {}),
        "DIEN": ([context, f.history, f.negative, f.item, mlp], {}),
        "BST": ([context, f.history, f.item, mlp], {"nhead": 4}),
        "GRU4Rec": ([f.user, f.history[:1], f.item[:1], f.negative[:1], {"dims": [64, 16]}], {}),
        "NARM": ([alone, 32, 0.1, 0.1], {"item_feature": f.item[0]}),
        "STAMP": ([alone, 0.1, 0.1], {"item_feature": f.item[0]}),
        "SharedBottom": ([f.all, tasks, mlp, towers], {}),
        "ESMM": ([f.user, f.item, mlp, mlp], {}),
        "MMOE": ([f.all, tasks, 4, mlp, towers], {}),
        "PLE": ([f.all, tasks, 2, 2, 2, mlp, towers], {}),
        "AITM": ([f.all, 2, mlp, towers], {}),
        "DSSM": ([[*f.user, *f.pooled], f.item, mlp, mlp], {}),
    }
    return given[name]


def _build(name: str) -> torch.nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch_rechub.models import matching, multi_task, ranking

        torch.manual_seed(MODELS.index(name))
        home = next(m for m in (ranking, multi_task, matching) if hasattr(m, name))
        positional, named = _arguments(name, _Features())
        # BST's encoder says that it cannot use nested tensors.
        module: torch.nn.Module = getattr(home, name)(*positional, **named)
    for part in module.modules():
        if isinstance(part, torch.nn.Embedding):
            part.weight.data.normal_(0.0, 0.5)
            if part.padding_idx is not None:
                part.weight.data[part.padding_idx].zero_()
        elif isinstance(part, torch.nn.Linear):
            part.weight.data.normal_(0.0, 2.0 * part.in_features**-0.5)
        elif isinstance(part, torch.nn.BatchNorm1d):
            part.running_mean.normal_(0.0, 0.1)
            part.running_var.uniform_(0.5, 2.0)
    return module.eval()


def export(name: str, folder: Path, dynamo: bool = False) -> Exported:
    """Build the model `name` and export it to `folder`."""
    module = _build(name)
    path = folder / f"{name}.onnx"
    sample = inputs(3, 0)
    # Packed sequences want the longest first.
    order = np.argsort(-(sample["hist_item"] != 0).sum(axis=1))
    sample = {key: array[order] for key, array in sample.items()}
    with warnings.catch_warnings(), exportable(module) as form:
        warnings.simplefilter("ignore")
        names = form.reads(sample)
        torch.onnx.export(
            form,
            tuple(torch.from_numpy(sample[key]) for key in names),
            str(path),
            input_names=list(names),
            dynamic_axes={key: {0: "batch"} for key in names},
            dynamo=dynamo,
        )
    return Exported(path, module)
