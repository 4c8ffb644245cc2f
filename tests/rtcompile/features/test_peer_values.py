"""Values that the peer's generator gives where its documents leave the meaning open."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rtcompile.features import compile_features
from rtcompile.features.hashing import HASHES
from rtcompile.features.reference.reference_features import extract
from rtcompile.runtime.columns import Column
from tests.conformance.cases import FOLDER

NESTED = "ca^ba:1,bb:2|cb^ba:3"


def _run(columns: dict[str, list[Any]], *features: dict[str, Any]) -> Column:
    """The last feature of the config, compiled; the reference gives the same."""
    extractor = compile_features({"features": list(features)}, FOLDER)
    [name] = [feature.name for feature in extractor.plan.features]
    found, want = extractor(columns)[name], extract(extractor.plan, columns)[name]
    for part in ("values", "lengths", "key_lengths", "seq_lengths"):
        got, expected = getattr(found, part), getattr(want, part)
        assert (got is None) == (expected is None), part
        if got is not None:
            np.testing.assert_allclose(got, expected, 1e-6, err_msg=part)
    return found


def _feature(kind: str, **keys: Any) -> dict[str, Any]:
    return {"feature_type": kind, "feature_name": "f", **keys}


def _raw(**keys: Any) -> dict[str, Any]:
    return _feature("raw_feature", expression="user:a", **keys)


def _murmur(*texts: str) -> list[int]:
    return [HASHES["murmur"](text.encode()) % 100 for text in texts]


def test_the_last_of_equal_words_counts() -> None:
    words = {"vocab_list": ["a", "-", "a", "b"], "default_bucketize_value": 1}
    column = _run(
        {"a": ["a,b", "", "c"]},
        _feature("id_feature", expression="user:a", separator=",", default_value="a", **words),
    )
    assert column.values.tolist() == [2, 3, 2, 1]


@pytest.mark.parametrize(
    ("keys", "values"),
    [
        (
            {"default_value": "0.01", "normalizer": "method=log10,threshold=0.05,default=-5"},
            [[-1], [0.01], [1], [-5]],
        ),
        (
            {
                "default_value": "0.1,0.4",
                "normalizer": "method=minmax,min=0,max=10",
                "separator": ",",
                "value_dim": 2,
            },
            [[0.01, 0.4], [0.1, 0.4], [1, 0.4], [0.002, 0.4]],
        ),
    ],
)
def test_a_default_is_not_normalized(keys: dict[str, Any], values: list[list[float]]) -> None:
    column = _run({"a": ["0.1", "", "10", "0.02"]}, _raw(**keys))
    np.testing.assert_allclose(column.values, values, 1e-6)


def test_a_default_is_not_normalized_where_another_feature_reads_it() -> None:
    column = _run(
        {"a": [None, "1"]},
        {**_raw(default_value="3", normalizer="method=zscore,mean=1"), "stub_type": True},
        {**_raw(), "feature_name": "g", "expression": "feature:f"},
    )
    assert column.values.tolist() == [[3], [0]]


def test_boundaries_with_an_empty_default_leave_a_row_empty() -> None:
    keys = {"boundaries": [0.05, 0.15, 0.25], "default_value": ""}
    column = _run({"a": ["0.2", "", "0.3"]}, _raw(**keys))
    assert (column.values.tolist(), column.lengths.tolist()) == ([2, 3], [1, 0, 1])  # type: ignore[union-attr]
    column = _run({"a": [[0.2, 0.1, 0.3], None, [0.3]]}, _raw(**keys, value_dim=2))
    assert (column.values.tolist(), column.lengths.tolist()) == ([2, 1, 3], [2, 0, 1])  # type: ignore[union-attr]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({}, "f_1"),
        ({"show_category": True, "show_item": True}, "f_ca_ba_1"),
        ({"need_prefix": False}, "1"),
    ],
)
def test_a_hashed_match_has_the_features_name(keys: dict[str, Any], text: str) -> None:
    given = {"user": "user:map", "category": "item:first", "item": "item:second", **keys}
    columns = {"map": [NESTED, NESTED, ""], "first": ["ca", "", "ca"], "second": ["ba", "", "ba"]}
    column = _run(
        columns,
        _feature("match_feature", **given, hash_bucket_size=100, default_value="z"),
    )
    assert column.values.tolist() == _murmur(text, "z", "z")


@pytest.mark.slow
def test_the_name_of_a_match_is_that_of_the_peer() -> None:
    given = {"user": "user:map", "category": "item:first", "item": "item:second"}
    feature = _feature("match_feature", **given, hash_bucket_size=100, default_value="z")
    columns = {"map": [NESTED, ""], "first": ["ca", ""], "second": ["ba", ""]}
    assert _run(columns, {**feature, "feature_name": "match_feat"}).values.tolist() == [71, 54]
    coded = {**feature, "hash_bucket_size": None, "vocab_list": ["1", "z"]}
    assert _run(columns, coded).values.tolist() == [2, 3]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("feature", "texts"),
    [
        (_feature("id_feature", expression="user:a"), ["f_x", "f_y", "z"]),
        (_feature("combo_feature", expression=["user:a", "user:b"]), ["f_x_p", "f_y_p", "z"]),
        (
            _feature("lookup_feature", map="user:m", key="user:a", needDiscrete=True),
            ["f_1", "f_2", "z"],
        ),
        (_feature("bool_mask_feature", expression=["user:a", "user:c"]), ["f_y", "z"]),
    ],
)
def test_a_prefix_goes_before_all_but_the_default(
    feature: dict[str, Any], texts: list[str]
) -> None:
    common = {"hash_bucket_size": 100, "separator": ",", "default_value": "z", "need_prefix": True}
    maps = [{"x": "1", "y": "2"}, {}]
    columns = {"a": ["x,y", None], "b": ["p", "p"], "c": ["0,1", "1"], "m": maps}
    assert _run(columns, feature | common).values.tolist() == _murmur(*texts)


def test_a_prefix_goes_before_what_another_feature_gives() -> None:
    column = _run(
        {"a": ["x;y", ""]},
        {**_feature("id_feature", expression="user:a"), "stub_type": True, "separator": ";"},
        _feature("id_feature", expression="feature:f", hash_bucket_size=100, need_prefix=True)
        | {"feature_name": "g", "default_value": "z"},
    )
    assert column.values.tolist() == _murmur("g_x", "g_y", "z")


def test_a_long_prefix_fits_beside_short_values() -> None:
    name = "n" * 5000
    given = {"expression": ["user:a", "user:b"], "hash_bucket_size": 100, "need_prefix": True}
    feature = _feature("combo_feature", **given) | {"feature_name": name}
    assert _run({"a": ["x"], "b": ["y"]}, feature).values.tolist() == _murmur(f"{name}_x_y")


# As the peer's exporter writes them: every feature of a sequence has a default value.
@pytest.mark.slow
@pytest.mark.parametrize("default", ["0", "xyz"])
@pytest.mark.parametrize("grouped", [True, False])
def test_a_text_normalizer_in_a_sequence(grouped: bool, default: str) -> None:
    text = {"parameter": 4, "expression": "user:a", "default_value": "0", "stub_type": True}
    tokens = {"vocab_file": "data/test/tokenizer.json", "default_value": default}
    features = [
        {**_feature("text_normalizer", **text), "feature_name": "f__text_norm"},
        _feature("tokenize_feature", expression="feature:f__text_norm", **tokens),
    ]
    if grouped:
        features[1]["sequence_fields"] = ["f__text_norm"]
        features = [{"sequence_name": "s", "features": features}]
    else:
        for feature in features:
            feature["feature_type"] = f"sequence_{feature['feature_type']}"
    column = _run({"s__a" if grouped else "a": ["ABC efg;hij", "", "HIJ"]}, *features)
    assert column.values.tolist() == [19758, 299, 16054, 73, 1944, 17, 73, 1944]
    assert column.key_lengths is not None
    assert column.key_lengths.tolist() == [3, 2, 1, 2]


@pytest.mark.parametrize(
    ("keys", "values"),
    [({"fill_missing": 10.0}, [11, 22, 13, 14]), ({}, [11, 22, 14])],
)
def test_shorter_vectors_are_filled_up(keys: dict[str, Any], values: list[int]) -> None:
    given = {"expression": "a+b", "variables": ["user:a", "user:b"], "num_buckets": 100}
    column = _run(
        {"a": [[1, 2, 3], [4]], "b": [[10, 20], [10]]}, _feature("expr_feature", **given, **keys)
    )
    assert column.values.tolist() == values


@pytest.mark.slow
@pytest.mark.parametrize("marked", [[], ["ilng", "ilat"]])
def test_an_expression_over_a_grouped_sequence(marked: list[str]) -> None:
    side = "user" if marked else "item"
    reads = [f"{side}:ilng", f"{side}:ilat", "user:ulng", "user:ulat"]
    common = {"operator_name": "SeqExpr", "boundaries": [0, 150, 1500], "default_value": "0"}
    feature = _feature("custom_feature", expression=reads, formula="spherical_distance", **common)
    group = {"sequence_name": "s", "sequence_delim": "|", "features": [feature]}
    feature["sequence_fields"] = marked
    columns: dict[str, list[Any]] = {
        "s__ilng": ["113.728|116.4074", "121.4737", None],
        "s__ilat": ["23.002|39.9042", "31.2304", None],
        "ulng": ["113.1057", "116.4074", None],
        "ulat": ["22.5614", "39.9042", None],
    }
    column = _run(columns, group)
    assert column.values.tolist() == [1, 3, 2, 1]
    assert column.seq_lengths is not None
    assert column.seq_lengths.tolist() == [2, 1, 1]
