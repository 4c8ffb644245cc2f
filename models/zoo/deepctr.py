"""18 deepctr-torch models with seeded random weights, exported to ONNX with a dynamic batch."""

from __future__ import annotations

import sys
import types
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

__all__ = ["FEWEST_ROWS", "MODELS", "Exported", "export", "inputs"]

SPARSE, DENSE, VOCABULARY, DIMENSION = 26, 13, 100, 8

_SINGLE = ["WDL", "DeepFM", "xDeepFM", "DCN", "DCNMix", "AutoInt", "NFM", "PNN", "ONN", "FiBiNET"]
_SINGLE += ["IFM", "DIFM", "MLR", "AFN"]
_MULTI = ["ESMM", "MMOE", "PLE", "SharedBottom"]
MODELS = (*_SINGLE, *_MULTI)

# As exported, its graph squeezes a batch of one away.
FEWEST_ROWS: Mapping[str, int] = {"DCNMix": 2}


@dataclass(frozen=True)
class Exported:
    """An exported model and its original."""

    path: Path
    module: torch.nn.Module

    def reference(self, given: Mapping[str, npt.NDArray[Any]]) -> list[npt.NDArray[Any]]:
        """The original's outputs, one array an output."""
        with torch.no_grad():
            result = self.module(torch.from_numpy(given["X"]))
        results = result if isinstance(result, list | tuple) else [result]
        return [r.numpy() for r in results]


def inputs(count: int, seed: int) -> dict[str, npt.NDArray[Any]]:
    """X, float32 [count, 39]: 26 columns of ids, then 13 of numbers."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, VOCABULARY, (count, SPARSE))
    numbers = rng.normal(size=(count, DENSE))
    return {"X": np.concatenate([ids, numbers], axis=1).astype(np.float32)}


def _import_deepctr() -> Any:
    """deepctr-torch imports callbacks of tensorflow, and asks the network for its newest version.

    Stand-ins keep tensorflow out and the network untouched.
    """
    names = ["requests", "tensorflow", "tensorflow.python", "tensorflow.python.keras"]
    names.append("tensorflow.python.keras.callbacks")
    added = [name for name in names if name not in sys.modules]
    for name in added:
        module = types.ModuleType(name)
        for stand_in in ("CallbackList", "EarlyStopping", "ModelCheckpoint", "History"):
            setattr(module, stand_in, type(stand_in, (), {}))
        sys.modules[name] = module
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import deepctr_torch.inputs
            import deepctr_torch.models
        return deepctr_torch
    finally:
        for name in added:
            del sys.modules[name]


def _build(name: str) -> torch.nn.Module:
    deepctr = _import_deepctr()
    sparse = [
        deepctr.inputs.SparseFeat(f"C{i}", VOCABULARY, embedding_dim=DIMENSION)
        for i in range(SPARSE)
    ]
    columns = sparse + [deepctr.inputs.DenseFeat(f"I{i}", 1) for i in range(DENSE)]
    torch.manual_seed(MODELS.index(name))
    factory: Callable[..., torch.nn.Module]
    if name in _MULTI:
        from deepctr_torch.models import multitask

        factory = getattr(multitask, name)
        module = factory(columns, task_types=["binary", "binary"], task_names=["ctr", "ctcvr"])
    elif name in ("PNN", "MLR"):
        factory = getattr(deepctr.models, name)
        module = factory(columns)
    else:
        factory = getattr(deepctr.models, name)
        module = factory(columns, columns)
    for parameter in module.parameters():
        if parameter.dim() > 1:
            parameter.data.normal_(0.0, 0.08)
    for buffer_name, buffer in module.named_buffers():
        if buffer_name.endswith("running_var"):
            buffer.uniform_(0.5, 2.0)
        elif buffer_name.endswith("running_mean"):
            buffer.normal_(0.0, 0.1)
    return module.eval()


def export(name: str, folder: Path, dynamo: bool = False) -> Exported:
    """Build the model `name` and export it to `folder`."""
    module = _build(name)
    path = folder / f"{name}.onnx"
    sample = torch.from_numpy(inputs(3, 0)["X"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            (sample,),
            str(path),
            input_names=["X"],
            dynamic_axes={"X": {0: "batch"}},
            dynamo=dynamo,
        )
    return Exported(path, module)
