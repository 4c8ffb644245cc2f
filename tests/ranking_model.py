"""A small ranking model that takes every form of input, with its config and tables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper
from safetensors.numpy import save_file

from tests.onnx_models import save

LENGTH, DIMENSION = 4, 8
FLOAT, INT64, INT32 = TensorProto.FLOAT, TensorProto.INT64, TensorProto.INT32


def _id(name: str, expression: str, **keys: Any) -> dict[str, Any]:
    return {"feature_type": "id_feature", "feature_name": name, "expression": expression, **keys}


def _raw(name: str, expression: str, **keys: Any) -> dict[str, Any]:
    return {"feature_type": "raw_feature", "feature_name": name, "expression": expression, **keys}


def _typed(kind: str, name: str, **keys: Any) -> dict[str, Any]:
    return {"feature_type": kind, "feature_name": name, **keys}


FEATURES: list[dict[str, Any]] = [
    _id("user_id", "user:user_id", num_buckets=20),
    _raw(
        "age",
        "user:age",
        default_value="30",
        normalizer="method=zscore,mean=30,standard_deviation=9",
    ),
    _id(
        "tags",
        "user:tags",
        hash_bucket_size=30,
        separator="|",
        pooling="mean",
        embedding_name="tag",
    ),
    _id("item_id", "item:item_id", num_buckets=20, default_value="0"),
    _raw("price", "item:price", boundaries=[0, 1, 5], default_value="1"),
    _raw("size", "item:size", value_dim=3, separator=","),
    _id("words", "item:words", vocab_list=["red", "green"], default_value="red", separator=" "),
    _id("pair", "item:pair", num_buckets=20, value_dim=2, default_value="1"),
    _id("scored", "item:scored", hash_bucket_size=30, weighted=True, embedding_name="tag"),
    _id("position", "context:position", num_buckets=5, default_value="4"),
    {
        "sequence_name": "hist",
        "sequence_length": LENGTH,
        "sequence_delim": ";",
        "features": [
            _id("item_id", "user:item_id", num_buckets=20, default_value="0"),
            _id("tags", "user:tags", hash_bucket_size=30, separator="|", embedding_name="tag"),
            _raw("price", "user:price", default_value="0"),
        ],
    },
    # Of user and item together.
    _typed(
        "lookup_feature",
        "seen",
        map="user:seen",
        key="item:words",
        default_value="-1",
        separator=" ",
    ),
    _typed(
        "combo_feature",
        "pairs",
        expression=["user:query", "item:words"],
        hash_bucket_size=30,
        separator=" ",
        embedding_name="tag",
        default_value="none",
    ),
    _typed(
        "match_feature",
        "brand",
        user="user:nested",
        category="item:words",
        item="item:pair",
        matchType="hit",
        needDiscrete=True,
        show_category=False,
        show_item=False,
        num_buckets=20,
        separator=" ",
        default_value="3",
    ),
    _typed(
        "expr_feature",
        "ratio",
        expression="age > 30 ? price / age : -price",
        variables=["user:age", "item:price"],
        default_value="0.5",
    ),
    _typed(
        "overlap_feature",
        "overlap",
        query="user:query",
        title="item:words",
        method="query_common_ratio",
        separator=" ",
        boundaries=[0.2, 0.8],
    ),
]

# Graph input -> (type, extents behind the batch). Ids go through a table in the graph.
INPUTS: dict[str, tuple[int, list[int]]] = {
    "user_id": (INT64, []),
    "age": (FLOAT, []),
    "tags": (FLOAT, [DIMENSION]),
    "item_id": (INT32, [1]),
    "price": (INT64, []),
    "size": (FLOAT, [3]),
    "words": (FLOAT, [DIMENSION]),
    "pair": (INT64, [2]),
    "scored": (FLOAT, [DIMENSION]),
    "position": (INT64, []),
    "hist__item_id": (INT64, [LENGTH]),
    "hist__tags": (FLOAT, [LENGTH, DIMENSION]),
    "hist__price": (FLOAT, [LENGTH]),
    "hist__len": (INT64, [1]),
    "seen": (FLOAT, []),
    "pairs": (FLOAT, [DIMENSION]),
    "brand": (INT64, [1]),
    "ratio": (FLOAT, [1]),
    "overlap": (INT64, []),
}


@dataclass(frozen=True)
class RankingModel:
    """Paths of a model."""

    onnx: Path
    features: Path
    embeddings: Path


def small_ranking_model(folder: Path, *names: str) -> RankingModel:
    """`ranking_model` with the plain features `names` only."""
    features = [f for f in FEATURES if f.get("feature_name") in names]
    return ranking_model(folder, features, {name: INPUTS[name] for name in names})


def ranking_model(
    folder: Path,
    features: list[dict[str, Any]] | None = None,
    inputs: Mapping[str, tuple[int, list[int]]] = INPUTS,
) -> RankingModel:
    """Write the three files into `folder`."""
    rng = np.random.default_rng(0)
    nodes: list[Any] = []
    constants: dict[str, Any] = {
        "ids_table": rng.normal(size=(20, DIMENSION)).astype(np.float32),
        "flat": np.array([0, -1], np.int64),
    }
    parts, width = [], 0
    for name, (kind, extents) in inputs.items():
        source, count = name, int(np.prod(extents, dtype=int))
        if name == "hist__len":
            nodes.append(helper.make_node("Cast", [name], [f"{name}_f"], to=FLOAT))
            source = f"{name}_f"
        elif kind in (INT64, INT32):
            nodes.append(helper.make_node("Gather", ["ids_table", name], [f"{name}_e"], axis=0))
            source, count = f"{name}_e", count * DIMENSION
        constants[f"{name}_shape"] = np.array([-1, count], np.int64)
        nodes.append(helper.make_node("Reshape", [source, f"{name}_shape"], [f"{name}_flat"]))
        parts.append(f"{name}_flat")
        width += count
    constants["w1"] = (rng.normal(size=(width, 24)) / 8).astype(np.float32)
    constants["b1"] = rng.normal(size=24).astype(np.float32)
    constants["w2"] = (rng.normal(size=(24, 1)) / 4).astype(np.float32)
    nodes += [
        helper.make_node("Concat", parts, ["x"], axis=1),
        helper.make_node("MatMul", ["x", "w1"], ["m"]),
        helper.make_node("Add", ["m", "b1"], ["a"]),
        helper.make_node("Relu", ["a"], ["h"]),
        helper.make_node("MatMul", ["h", "w2"], ["z"]),
        helper.make_node("Sigmoid", ["z"], ["ctr"]),
    ]
    del constants["flat"]
    given = {name: (kind, ["n", *extents]) for name, (kind, extents) in inputs.items()}
    model = save(folder / "model.onnx", nodes, constants, given, {"ctr": (FLOAT, ["n", 1])})
    config, tables = folder / "fg.json", folder / "tables.safetensors"
    config.write_text(json.dumps({"features": FEATURES if features is None else features}))
    save_file(
        {
            "tag": rng.normal(size=(30, DIMENSION)).astype(np.float32),
            "words.weight": rng.normal(size=(4, DIMENSION)).astype(np.float32),
        },
        str(tables),
    )
    return RankingModel(model, config, tables)


USER: dict[str, Any] = {
    "user_id": 3,
    "age": 41,
    "tags": "a|b|c",
    "hist__item_id": [1, 2, "3"],
    "hist__tags": "a|b;;c",
    "hist__price": [1.5, None, 3],
    "seen": {"red": 0.5, "green": 2},
    "nested": "red^0:4,1:5|green^2:6,3:7",
    "query": "green apples",
}


def items(count: int) -> dict[str, list[Any]]:
    """`count` items, ids i0, i1 and so on."""
    return {
        "id": [f"i{i}" for i in range(count)],
        "item_id": [i % 20 for i in range(count)],
        "price": [i / 10 for i in range(count)],
        "size": [[i, i + 1.0, i - 1.0] for i in range(count)],
        "words": ["red green" if i % 2 else None for i in range(count)],
        "pair": [[i % 7, i % 5] for i in range(count)],
        "scored": [{f"w{i % 9}": 0.5, "w": i / 100} for i in range(count)],
    }
