"""Ranking models whose requests one call answers, and the same requests stage by stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import rtcompile
from rtcompile import runtime
from rtcompile.runtime.abi.brief_calls import BriefRows
from tests.ranking_model import DIMENSION, FEATURES, FLOAT, INPUTS, USER, items, ranking_model

__all__ = [
    "CASES",
    "COUNT",
    "IDS",
    "Artifacts",
    "Case",
    "assert_same",
    "build_case",
    "by_stages",
    "context_of",
    "load_case",
    "ready",
    "score",
    "set_brief",
    "user_of",
]

COUNT = 300
IDS = [f"i{i}" for i in range(20)]
# Joined texts need scratch.
JOINED: dict[str, Any] = {
    "feature_type": "combo_feature",
    "feature_name": "joined",
    "expression": ["user:query", "user:tags"],
    "hash_bucket_size": 30,
    "separator": "|",
    "embedding_name": "tag",
    "default_value": "none",
}
# Of the context, alone and together with an item.
_OF_CONTEXT: list[dict[str, Any]] = [
    {
        "feature_type": "id_feature",
        "feature_name": "device",
        "expression": "context:device",
        "hash_bucket_size": 30,
        "separator": "|",
        "pooling": "mean",
        "embedding_name": "tag",
    },
    {
        "feature_type": "raw_feature",
        "feature_name": "bid",
        "expression": "context:bid",
        "default_value": "0.5",
    },
    {
        "feature_type": "combo_feature",
        "feature_name": "near",
        "expression": ["context:device", "item:words"],
        "hash_bucket_size": 30,
        "separator": " ",
        "embedding_name": "tag",
        "default_value": "none",
    },
]
_FEATURES = [*FEATURES, JOINED, *_OF_CONTEXT]
_ITEM = ("item_id", "price", "size", "words", "pair", "scored")
_USER = ("user_id", "age", "tags", "hist", "joined")
_PAIRS = ("seen", "pairs", "brand", "ratio")
_CONTEXT = ("position", "device", "bid")
_INPUTS = {
    **INPUTS,
    "joined": (FLOAT, [DIMENSION]),
    "device": (FLOAT, [DIMENSION]),
    "bid": (FLOAT, []),
    "near": (FLOAT, [DIMENSION]),
}


@dataclass(frozen=True)
class Case:
    """A model: the features that it has, and the stages that one call runs."""

    features: tuple[str, ...]
    serve: tuple[str, ...]
    without: tuple[str, ...] = ()
    more_outputs: bool = False


CASES = {
    "plain": Case((*_USER, *_ITEM), ("user", "user_network", "cross")),
    "no_user_network": Case((*_USER, *_ITEM), ("user", "cross"), ("staging",)),
    "no_user_features": Case(_ITEM, ()),
    "outputs": Case((*_USER, *_ITEM), ("user", "user_network", "cross"), more_outputs=True),
    "pairs": Case((*_USER, *_ITEM, *_PAIRS), ("user", "user_network", "context", "cross")),
    "context": Case((*_USER, *_ITEM, *_CONTEXT), ("user", "user_network", "context", "cross")),
    "only_context": Case((*_ITEM, *_CONTEXT), ("context", "cross")),
    "all_sides": Case(
        (*_USER, *_ITEM, *_PAIRS, *_CONTEXT, "near"), ("user", "user_network", "context", "cross")
    ),
    # Compiled code does not encode what `overlap` reads.
    "left_context": Case(
        (*_USER, *_ITEM, *_PAIRS, "position", "overlap"), ("user", "user_network")
    ),
}


def _features(case: Case) -> list[dict[str, Any]]:
    named = {f.get("sequence_name", f.get("feature_name")): f for f in _FEATURES}
    return [named[name] for name in case.features]


def build_case(folder: Path, case: Case) -> Path:
    """The artifact of a case."""
    features = _features(case)
    inputs = {n: form for n, form in _INPUTS.items() if n.partition("__")[0] in case.features}
    model = ranking_model(folder, features, inputs)
    if case.more_outputs:
        _add_outputs(model.onnx)
    options = rtcompile.BuildOptions(
        features=model.features, embeddings=model.embeddings, without=case.without
    )
    path = folder / "m.rtc"
    rtcompile.build(model.onnx, options, output=path)
    return path


class Artifacts(dict[str, Path]):
    """Those of CASES by name, each built when it is first asked for."""

    def __init__(self, folders: pytest.TempPathFactory) -> None:
        super().__init__()
        self._folders = folders

    def __missing__(self, name: str) -> Path:
        self[name] = found = build_case(self._folders.mktemp(name), CASES[name])
        return found


def _add_outputs(path: Path) -> None:
    """One of two columns, one without columns, one without rows."""
    model, three = onnx.load(path), np.array([1, 2, 3], np.float32)
    model.graph.node.extend(
        [
            helper.make_node("Concat", ["ctr", "ctr"], ["twice"], axis=1),
            helper.make_node("ReduceMax", ["twice"], ["flat"], axes=[1], keepdims=0),
            helper.make_node("Constant", [], ["three"], value=numpy_helper.from_array(three)),
            helper.make_node("Identity", ["three"], ["fixed"]),
        ]
    )
    for name, shape in (("twice", ["n", 2]), ("flat", ["n"]), ("fixed", [3])):
        model.graph.output.append(helper.make_tensor_value_info(name, FLOAT, shape))
    onnx.save(model, path)


def load_case(path: Path, threads: int = 1) -> runtime.Ranker:
    """With COUNT items."""
    ranker = runtime.load(path, threads)
    ranker.items.upsert(items(COUNT), key="id")
    return ranker


def by_stages(path: Path) -> runtime.Ranker:
    """A ranker that never answers in one call."""
    ranker = load_case(path)
    assert ranker._ranking is not None
    ranker._ranking._server, ranker._ranking.at_once = None, False
    vars(ranker).pop("rank", None)
    return ranker


def set_brief(ranker: runtime.Ranker, most: int) -> None:
    """Requests of up to `most` items are known to be brief, and longer ones not to be."""
    assert ranker._ranking is not None and ranker._ranking._server is not None
    words = ranker._ranking._server.brief.words
    words[BriefRows.MOST], words[BriefRows.LEAST_LONG] = most, most + 1


def user_of(ranker: runtime.Ranker, **changes: Any) -> dict[str, Any]:
    """The fields that the model takes; its map as text, which compiled code reads."""
    user = {**USER, "seen": "red:0.5\x1dgreen:2", **changes}
    return {name: user[name] for name in ranker.manifest["fields"]["user"]}


def context_of(ranker: runtime.Ranker, count: int) -> dict[str, list[Any]]:
    """The fields of the context that the model takes, for `count` items."""
    given: dict[str, list[Any]] = {
        "position": [i % 5 for i in range(count)],
        "device": [None if i % 7 == 3 else f"d{i % 4}|e" for i in range(count)],
        "bid": [i / 8 for i in range(count)],
    }
    return {name: given[name] for name in ranker.manifest["fields"]["context"]}


def score(ranker: runtime.Ranker, user: Mapping[str, Any], count: int) -> dict[str, np.ndarray]:
    """The outputs of the first `count` items."""
    ids: Sequence[str] = [f"i{i}" for i in range(count)]
    return ranker.rank(user, ids, context_of(ranker, count) or None)


def ready(
    artifact: Path, left: list[str]
) -> tuple[runtime.Ranker, dict[str, Any], dict[str, np.ndarray]]:
    """A ranker that has memory and knows how long requests take, a user, and the outputs of IDS."""
    ranker = load_case(artifact)
    user = user_of(ranker)
    want = score(by_stages(artifact), user, len(IDS))
    set_brief(ranker, COUNT)
    assert_same(score(ranker, user, len(IDS)), want)
    assert left.pop() == "left"
    left.clear()
    return ranker, user, want


def assert_same(got: Mapping[str, np.ndarray], want: Mapping[str, np.ndarray]) -> None:
    """The same outputs, to the bit."""
    assert list(got) == list(want)
    for name, values in want.items():
        np.testing.assert_array_equal(got[name], values)
        assert (got[name].dtype, got[name].shape) == (values.dtype, values.shape)
