"""Build both MovieLens models, rank real candidate lists, compare with the original.

The original is the usual stack: features in Python, network in ONNX Runtime.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import rtcompile
from rtcompile import runtime
from rtcompile.bench.usual_stack import UsualStack
from rtcompile.models.movielens import examples
from rtcompile.models.movielens.calibration import LABEL, write_calibration
from rtcompile.models.movielens.data import Interactions
from rtcompile.models.movielens.examples import Request, item_fields, requests
from rtcompile.verification.area_under_curve import area_under_curve

__all__ = ["NAMES", "Comparison", "Prepared", "compare", "prepare"]

NAMES = ("deepfm", "din")
FOLDER = Path(examples.__file__).parent


@dataclass(frozen=True)
class Prepared:
    """One model, compiled and as it was, over the same items and requests."""

    name: str
    artifact: Path
    ranker: runtime.Ranker
    usual: UsualStack
    requests: list[Request]
    items: list[str]


@dataclass(frozen=True)
class Comparison:
    """Both on the test period's requests."""

    name: str
    original_auc: float
    compiled_auc: float
    largest_difference: float
    pairs: int
    requests: int


def prepare(
    name: str,
    data: Interactions,
    folder: Path,
    target: str = "host",
    progress: Callable[[str], None] = lambda step: None,
    embedding_dtype: str = "fp32",
    quantize: str = "none",
) -> Prepared:
    """Build the artifact of `name`, "deepfm" or "din", in `folder`, and load the item tables.

    Lower precision is calibrated, and held to the budget of AUC, on the validation period.
    """
    model, features = FOLDER / f"{name}.onnx", FOLDER / f"fg_{name}.json"
    tables = FOLDER / f"{name}.safetensors"
    calibration = None
    if quantize != "none":
        calibration = folder / "validation.jsonl"
        write_calibration(data, calibration)
    options = rtcompile.BuildOptions(
        features=features,
        target=target,
        embeddings=tables,
        embedding_dtype=embedding_dtype,
        quantize=quantize,
        calibration=calibration,
        label=LABEL if calibration else None,
    )
    artifact = folder / f"{name}.rtc"
    rtcompile.build(model, options, output=artifact, progress=progress)
    ranker = runtime.load(artifact)
    usual = UsualStack(model, features, tables)
    items = item_fields(data)
    ranker.items.upsert(items)
    usual.upsert(items)
    fields = set(ranker.manifest["fields"]["user"])
    found = [
        Request({n: v for n, v in r.user.items() if n in fields}, r.items, r.labels)
        for r in requests(data)
    ]
    return Prepared(name, artifact, ranker, usual, found, items["item_id"])


def compare(prepared: Prepared) -> Comparison:
    """Score every request with both."""
    labels: list[int] = []
    one: list[Any] = []
    other: list[Any] = []
    for request in prepared.requests:
        labels += request.labels
        one.append(prepared.usual.rank(request.user, request.items)["ctr"])
        other.append(prepared.ranker.rank(request.user, request.items)["ctr"])
    original, compiled = np.concatenate(one), np.concatenate(other)
    return Comparison(
        prepared.name,
        area_under_curve(np.array(labels), original),
        area_under_curve(np.array(labels), compiled),
        float(np.max(np.abs(original - compiled))),
        len(labels),
        len(prepared.requests),
    )
