"""What `rtcompile bench features` measures: a feature of each type, on rows of everyday size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["DIMENSION", "ROWS", "TABLE_ROWS", "Case", "cases", "thousand"]

ROWS = 1000
TABLE_ROWS, DIMENSION = 10_000, 16
_MAP_ENTRIES, _MAPS, _ITEMS = 10, 100, 100

Columns = dict[str, list[Any]]


@dataclass(frozen=True)
class Case:
    """One line of the table. `values`: how many of `unit` a run works through.

    `pooled`: into the sum of embedding rows. `peer`: the name of TensorFlow's counterpart.
    """

    name: str
    features: list[dict[str, Any]]
    columns: Columns
    values: int
    unit: str
    pooled: bool = False
    peer: str = ""


def _feature(kind: str, **keys: Any) -> dict[str, Any]:
    return {"feature_type": kind, "feature_name": "f", "separator": ",", **keys}


def cases() -> list[Case]:
    """Every case; the same rows each time."""
    rng = np.random.default_rng(0)
    words = [f"w{i}" for i in range(5000)]
    listed = [
        [words[k] for k in rng.integers(len(words), size=n)] for n in rng.integers(1, 5, ROWS)
    ]
    tags = {"tags": [",".join(row) for row in listed]}
    count = sum(map(len, listed))
    hashed = _feature("id_feature", expression="item:tags", hash_bucket_size=TABLE_ROWS)
    vocabulary = _feature(
        "id_feature", expression="item:tags", vocab_list=words, default_bucketize_value=0
    )
    boundaries = np.linspace(-3, 3, 100).tolist()
    numbers = {"x": rng.normal(size=ROWS).tolist(), "y": rng.normal(size=ROWS).tolist()}
    raw = _feature("raw_feature", expression="item:x", boundaries=boundaries)
    formula = "x > 0 ? log(x + 1) * y : sigmoid(x - y)"
    variables = ["item:x", "item:y"]
    return [
        Case("id: split, hash", [hashed], tags, count, "value", peer="hash"),
        Case("id: split, hash, gather, sum", [hashed], tags, count, "value", True, "pool"),
        Case("id: split, vocabulary", [vocabulary], tags, count, "value", peer="vocabulary"),
        Case("raw: boundaries", [raw], numbers, ROWS, "value", peer="boundaries"),
        Case(
            "expr",
            [_feature("expr_feature", expression=formula, variables=variables)],
            numbers,
            ROWS,
            "row",
            peer="expression",
        ),
        *_of_texts(rng, tags, listed),
        *_of_maps(rng),
    ]


def _of_texts(rng: np.random.Generator, tags: Columns, listed: list[list[str]]) -> list[Case]:
    titles = [" ".join(f"t{k}" for k in rng.integers(30, size=8)) for _ in range(ROWS)]
    columns = {**tags, "title": titles, "query": ["t3 t7 t9"], "city": ["city 7"]}
    masks = [",".join("10"[k] for k in rng.integers(2, size=len(row))) for row in listed]
    count = sum(map(len, listed))
    query = {"query": "user:query", "title": "item:title", "separator": " "}
    mask = ["item:tags", "item:mask"]
    combo = ["user:city", "item:tags"]
    edit = {"operator_name": "EditDistance", "expression": ["user:query", "item:title"]}
    numbers = [",".join(f"{x:.3f}" for x in rng.normal(size=4)) for _ in range(ROWS)]
    return [
        Case(
            "combo: join, hash",
            [_feature("combo_feature", expression=combo, hash_bucket_size=TABLE_ROWS)],
            columns,
            count,
            "value",
            peer="combination",
        ),
        Case(
            "bool_mask: split, hash",
            [_feature("bool_mask_feature", expression=mask, hash_bucket_size=TABLE_ROWS)],
            {**columns, "mask": masks},
            count,
            "value",
        ),
        Case(
            "overlap",
            [_feature("overlap_feature", **query, method="query_common_ratio")],
            columns,
            ROWS,
            "row",
        ),
        Case(
            "combine: split, parse, sum",
            [_feature("combine_feature", expression="item:numbers", combiner="sum")],
            {"numbers": numbers},
            4 * ROWS,
            "value",
            peer="numbers",
        ),
        Case("EditDistance", [_feature("custom_feature", **edit)], columns, ROWS, "row"),
    ]


def _of_maps(rng: np.random.Generator) -> list[Case]:
    """A request: maps of one user, a hundred items; one feature a map."""
    keys = [f"k{k}" for k in rng.integers(2 * _MAP_ENTRIES, size=_ITEMS)]
    columns: Columns = {"key": keys, "outer": [f"k{k % 10}" for k in range(_ITEMS)]}
    columns["inner"] = [f"s{k % 11}" for k in range(_ITEMS)]
    look_ups, matches = [], []
    for m in range(_MAPS):
        pairs = [f"k{k}:{x:.2f}" for k, x in enumerate(rng.normal(size=_MAP_ENTRIES))]
        columns[f"map{m}"] = ["\x1d".join(pairs)]
        inner = ",".join(f"s{j}:{j + m}" for j in range(10))
        columns[f"nested{m}"] = ["|".join(f"k{k}^{inner}" for k in range(10))]
        look_up = {"map": f"user:map{m}", "key": "item:key", "default_value": "0"}
        match = {"user": f"user:nested{m}", "category": "item:outer", "item": "item:inner"}
        look_ups.append(_feature("lookup_feature", **look_up) | {"feature_name": f"f{m}"})
        matches.append(_feature("match_feature", **match) | {"feature_name": f"f{m}"})
    size = sum(len(columns[f"map{m}"][0]) for m in range(_MAPS))
    dot = _feature("kv_dot_product", query="user:short", document="item:weights")
    weights: Columns = {"short": ["a:1,b:2,c:3"], "weights": ["b:1,c:2,d:3"] * ROWS}
    two: Columns = {n: v[:2] for n, v in columns.items()}
    return [
        Case("lookup: parse maps, probe", look_ups, columns, _MAPS * _ITEMS, "key", peer="table"),
        Case("match: parse maps, probe", matches, columns, _MAPS * _ITEMS, "key"),
        Case("lookup: parse maps", look_ups, two, size, "byte"),
        Case("kv_dot_product", [dot], weights, ROWS, "row"),
    ]


def thousand() -> Case:
    """A request of 100 items with 300 id, 100 raw, 500 lookup and 100 match features."""
    rng = np.random.default_rng(0)
    columns: Columns = {}
    features = []
    for k in range(300):
        columns[f"id{k}"] = [f"abc{k}"]
        features.append(_feature("id_feature", expression=f"user:id{k}", hash_bucket_size=1000))
    for k in range(100):
        columns[f"raw{k}"] = rng.normal(size=_ITEMS).tolist()
        features.append(_feature("raw_feature", expression=f"item:raw{k}"))
    for k in range(20):
        columns[f"key{k}"] = [f"k{i}" for i in rng.integers(15, size=_ITEMS)]
    for k in range(500):
        columns[f"map{k}"] = ["\x1d".join(f"k{i}:{i}" for i in range(_MAP_ENTRIES))]
        keys = {"map": f"user:map{k}", "key": f"item:key{k % 20}", "default_value": "0"}
        features.append(_feature("lookup_feature", **keys, boundaries=[0, 1, 2 + k]))
    for k in range(100):
        columns[f"nested{k}"] = ["|".join(f"k{i}^k{i}:1,k{i + 1}:2" for i in range(5))]
        keys = {"category": f"item:key{k % 20}", "item": f"item:key{(k + 1) % 20}"}
        features.append(_feature("match_feature", user=f"user:nested{k}", **keys))
    named = [{**feature, "feature_name": f"f{k}"} for k, feature in enumerate(features)]
    return Case("1,000 features", named, columns, _ITEMS, "item")
