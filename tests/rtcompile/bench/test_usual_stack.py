"""The usual stack's short ways beside the reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rtcompile.bench.usual_maps import MapMemory, reads_map
from rtcompile.bench.usual_numbers import number_column, reads_numbers
from rtcompile.features.config.parse_config import load_config
from rtcompile.features.plan import Feature
from rtcompile.features.reference.reference_features import extract_feature

_LOOKUP = {"feature_type": "lookup_feature", "map": "user:m", "key": "item:a"}
_MATCH = {
    "feature_type": "match_feature",
    "user": "user:m",
    "category": "item:a",
    "item": "item:b",
    "matchType": "hit",
    "show_category": False,
    "show_item": False,
}
_DISCRETE = {"needDiscrete": True, "hash_bucket_size": 100, "value_dim": 1}


def _feature(**keys: Any) -> Feature:
    (feature,) = load_config({"features": [{"feature_name": "f", **keys}]}).features
    return feature


def _whole(feature: Feature, columns: dict[str, list[Any]], rows: int) -> Any:
    wide = {name: v * rows if len(v) == 1 else v for name, v in columns.items()}
    return extract_feature(feature, wide, rows)


@pytest.mark.parametrize("default", ["0", "7"])
@pytest.mark.parametrize(
    "keys",
    [{}, _DISCRETE, {"boundaries": [0.5, 2]}, {"normalizer": "method=zscore,mean=1"}],
    ids=["numbers", "discrete", "boundaries", "normalizer"],
)
@pytest.mark.parametrize("kind", [_LOOKUP, _MATCH], ids=["lookup", "match"])
def test_maps(kind: dict[str, Any], keys: dict[str, Any], default: str) -> None:
    feature = _feature(**kind, **keys, default_value=default)
    pairs = ["x:1", "y:2.5", "x:9", "z:none", ":4", "v:"]
    if kind is _MATCH:
        texts = ["p^" + ",".join(pairs), "q^x:3", "p^x:8", "r", "^x:1"]
        maps: list[Any] = ["|".join(texts), ""]
    else:
        maps = ["\x1d".join(pairs), "", {"x": "1", "y": 2}]
    assert reads_map(feature)
    seconds = ["x", "y", "z", "v", "w", "x", "x"]
    firsts = ["p", "p", "p", "p", "p", "q", "t"]
    rows = (firsts, seconds) if kind is _MATCH else (seconds, seconds)
    for text in maps:
        columns = {"m": [text], "a": list(rows[0]), "b": list(rows[1])}
        if kind is _LOOKUP:
            del columns["b"]
        want, got = _whole(feature, columns, len(seconds)), MapMemory(feature).column(columns)
        assert got is not None
        assert np.array_equal(got.values, want.values)
        assert (got.lengths is None) == (want.lengths is None)


def test_what_is_no_plain_look_up_goes_the_long_way() -> None:
    assert not reads_map(_feature(**_LOOKUP, combiner="count"))
    assert not reads_map(_feature(**_LOOKUP, **_DISCRETE, needKey=True))
    assert not reads_map(_feature(**{**_MATCH, "matchType": "multihit"}))
    memory = MapMemory(_feature(**_LOOKUP, default_value="0"))
    assert memory.column({"m": ["x:1"], "a": ["x\x1dy"]}) is None
    assert memory.column({"m": ["x:1"], "a": [["x"]]}) is None


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"boundaries": [-1.5, 0, 0.1, 2]},
        {"normalizer": "method=zscore,mean=1,standard_deviation=3"},
        {"normalizer": "method=minmax,min=-1,max=4"},
        {"normalizer": "method=log10,threshold=0.1,default=-2"},
    ],
)
def test_numbers(keys: dict[str, Any]) -> None:
    feature = _feature(feature_type="raw_feature", expression="item:x", **keys)
    values = [-1.5, 0.0, 0.1, 0.05, 2.0, 1e300, float("inf"), 3.7]
    assert reads_numbers(feature)
    got = number_column(feature, values)
    want = _whole(feature, {"x": values}, len(values))
    assert got is not None
    assert np.array_equal(got.values, want.values)
    assert number_column(feature, [1.0, None]) is None
    assert number_column(feature, [1.0, float("nan")]) is None
