"""A bad config is told in full: every problem, with its path, value, and what is allowed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rtcompile.errors import ConfigError
from rtcompile.features.config.parse_config import load_config
from rtcompile.features.plan import Boundaries, HashBucket, Side


def _id(**keys: Any) -> dict[str, Any]:
    base = {"feature_type": "id_feature", "feature_name": "f", "expression": "user:f"}
    return {**base, "hash_bucket_size": 10, **keys}


def _raw(**keys: Any) -> dict[str, Any]:
    return {"feature_type": "raw_feature", "feature_name": "r", "expression": "item:r", **keys}


def _typed(kind: str, base: dict[str, Any], keys: dict[str, Any]) -> dict[str, Any]:
    return {"feature_type": kind, "feature_name": "f", **base, **keys}


def _combo(**keys: Any) -> dict[str, Any]:
    base = {"expression": ["user:a", "item:b"], "hash_bucket_size": 10}
    return _typed("combo_feature", base, keys)


def _lookup(**keys: Any) -> dict[str, Any]:
    return _typed("lookup_feature", {"map": "user:a", "key": "item:b"}, keys)


def _overlap(**keys: Any) -> dict[str, Any]:
    return _typed("overlap_feature", {"query": "user:a", "title": "item:b"}, keys)


def _expr(**keys: Any) -> dict[str, Any]:
    return _typed("expr_feature", {"variables": ["user:a", "item:b"]}, keys)


def _custom(**keys: Any) -> dict[str, Any]:
    base = {"expression": ["user:a", "user:b"], "operator_name": "SeqExpr", "is_sequence": True}
    return _typed("custom_feature", {**base, "formula": "a-b"}, keys)


def _config(*features: Any, **top: Any) -> dict[str, Any]:
    return {"features": list(features), **top}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON"),
        ("{", "not JSON: .* at line 1, column 2"),
        ("[]", "an object with a list under the key 'features'"),
        ('{"features": 1}', "an object with a list under the key 'features'"),
        ('{"features": [], "features": []}', "key 'features' is given twice"),
        ("[" * 100_000, "nested too deeply|not JSON"),
    ],
)
def test_what_is_no_config(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "fg.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(path)
    assert str(caught.value).startswith(str(path))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "none.json")
    (tmp_path / "fg.json").write_bytes(b"\xff\xfe{}")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_config(tmp_path / "fg.json")


@pytest.mark.parametrize(
    ("feature", "message"),
    [
        (_id(hash_bucket_sise=1), r"features\[0\].hash_bucket_sise: unknown key; did you mean"),
        (_id(hash_bucket_size=0), r"hash_bucket_size: 0 is not allowed"),
        (_id(hash_bucket_size="10"), r'hash_bucket_size: "10" is not allowed'),
        (_id(num_buckets=5), "hash_bucket_size and num_buckets exclude each other"),
        (_id(hash_bucket_size=None), "none is given; give one of"),
        (_id(expression="f"), "'f' is not allowed; write user:NAME"),
        (_id(expression="user:"), "'user:' is not allowed"),
        (_id(expression="feature:g"), "feature:g names no feature that stands before this one"),
        (_id(boundaries=[1]), "boundaries: not for this feature; it takes hash_bucket_size"),
        (_id(normalizer="method=log10"), "normalizer: only for numbers"),
        (_raw(hash_bucket_size=3), "hash_bucket_size: not for this feature; it takes boundaries"),
        (_raw(num_buckets=3), "num_buckets: not for a raw_feature"),
        (_raw(value_dim=0), "value_dim: 0 is not allowed"),
        (_combo(expression="user:a"), "expression: .* is not allowed"),
        (
            _combo(need_prefix=True, hash_bucket_size=None, stub_type=True),
            "need_prefix: true needs a bucketizer",
        ),
        (_expr(expression="a", fill_missing="0"), 'fill_missing: "0" is not allowed'),
        (_raw(boundaries="1,x"), 'boundaries: "1,x" is not allowed'),
        (_lookup(combiner="median"), "combiner: 'median' is not allowed; use one of sum"),
        (_lookup(default_value="x"), "default_value: 'x' is not a number"),
        (_overlap(method="jaccard"), "method: 'jaccard' is not allowed; use one of"),
        (_expr(expression="a+c"), "unknown name 'c'"),
        (_expr(expression="rnd()"), "rnd at position 0: a feature must be reproducible"),
        (_expr(expression="dot(a)"), "dot at position 0 takes 2 variables"),
        ({"sequence_name": "s", "sequence_pk": "x:y", "features": []}, "sequence_pk: 'x:y' is not"),
        (_id(feature_type="id_featur"), "did you mean 'id_feature'"),
        (_id(feature_type="tokenise_feature"), "did you mean 'tokenize_feature'"),
        (_custom(operator_name="Edits"), "'Edits' is not built in, as EditDistance, Regex"),
        (_custom(formula="a+c"), "formula: unknown name 'c'"),
        (_custom(formula=1), "formula: 1 is no text"),
        (_custom(is_sequence=False), "SeqExpr needs a sequence"),
        (_id(feature_name=""), 'feature_name: "" is not allowed'),
        (_id(hash_bucket_size=None, vocab_list=[]), "vocab_list: at least one word"),
        (_id(hash_bucket_size=None, vocab_dict={"a": -1}), "the code of 'a' is -1"),
        (_id(hash_bucket_size=None, vocab_file="x"), "default_bucketize_value: required"),
        (
            _id(hash_bucket_size=None, vocab_file="none.txt", default_bucketize_value=0),
            r"vocab_file: .*none.txt: No such file",
        ),
        (_id(sequence_length=3), "sequence keys need the type sequence_id_feature"),
        (_raw(boundaries=[2, 1]), "strictly increasing"),
        (_raw(boundaries=[]), "strictly increasing"),
        (_raw(default_value="x"), "default_value: 'x' is not a number"),
        (_raw(default_value="1\x1d2"), "2 values; give one, or value_dim"),
        (_raw(normalizer="method=log"), "method 'log' is not allowed; use one of log10"),
        (_raw(normalizer="method=zscore,standard_deviation=0"), "must not be 0"),
        (_raw(normalizer="method=minmax,min=1,max=1"), "must differ"),
        (_raw(normalizer="method=zscore,average=1"), "unknown key 'average'"),
        (_raw(normalizer="method=expression,expr=logg(x)"), "did you mean 'log"),
        (_raw(normalizer="method=expression,expr=x+"), "unexpected the end at position 2"),
        ("text", r"features\[0\]: an object is needed"),
        ({"sequence_name": "s"}, r"features\[0\].features: required, but missing"),
    ],
)
def test_bad_features(feature: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(_config(feature))


def test_every_problem_is_told_at_once() -> None:
    group = {
        "sequence_name": "s",
        "features": [_id(hash_bucket_size=-1), _id(feature_name="g", extra=1)],
    }
    with pytest.raises(ConfigError) as caught:
        load_config(_config(_id(hash_bucket_size=0), _raw(boundaries=[1, 1]), group, hash="md5"))
    problems = caught.value.problems
    assert len(problems) == 5
    assert any("features[2].features[1].extra" in problem for problem in problems)
    assert any("hash: 'md5' is not allowed" in problem for problem in problems)


def test_problems_behind_a_wrong_key_are_told_too() -> None:
    first = _id(hash_bucket_size=0, expression="f", colour="red")
    second = _raw(value_dim=-1, default_value="1\x1dx", normalizer="method=log", boundaries=[1, 1])
    third = _id(feature_name="g", expression="feature:f")
    fourth = {"feature_type": "raw_feature", "feature_name": "h", "expression": 1}
    with pytest.raises(ConfigError) as caught:
        load_config(_config(first, second, third, fourth, _id(expression="feature:h")))
    told = [problem.partition(": ")[0] for problem in caught.value.problems]
    assert sorted(told) == [
        "features[0], features[4]",
        "features[0].colour",
        "features[0].expression",
        "features[0].hash_bucket_size",
        "features[1].boundaries",
        "features[1].normalizer",
        "features[1].value_dim",
        "features[3].expression",
    ]


def test_numbers_where_texts_are_meant() -> None:
    words = _id(hash_bucket_size=None, vocab_list=[7, "a"], default_value=-1)
    plan = load_config(_config(words, _raw(default_value=0.5, normalizer="")))
    assert [feature.default for feature in plan.features] == [(b"-1",), (b"0.5",)]
    assert dict(plan.features[0].bucketizer.entries)[b"7"] == 2  # type: ignore[union-attr]


def test_a_name_is_used_once() -> None:
    with pytest.raises(ConfigError, match="the output name 'f' is used 2 times"):
        load_config(_config(_id(), _id()))


def test_both_spellings_of_keys() -> None:
    plan = load_config(
        _config(
            _id(value_dimension=2, embedding_dimension=8, shared_name="t", combiner="mean"),
            _raw(bucketize_boundaries=[1, 2], value_dim=1),
            hash="farmhash",
        )
    )
    feature = plan.features[0]
    assert feature.value_dim == 2
    assert feature.embedding is not None
    assert (feature.embedding.table, feature.embedding.pooling) == ("t", "mean")
    assert feature.bucketizer == HashBucket(10, "farmhash")
    assert plan.columns(Side.ITEM) == ("r",)


def test_keys_that_change_no_value_are_ignored() -> None:
    group = {
        "sequence_name": "s",
        "sequence_column": "s",
        "sequence_table": "item",
        "attribute_delim": "#",
        "features": [_id(trainable=False)],
    }
    trained = {"max_partitions": 4, "filter_freq": 2, "use_embedding_variable": True}
    raw = _raw(bucketize_boundaries="1, 2.5", fg_encoded_default_value="0")
    features = [_id(**trained), raw, _combo(feature_name="c", combiner="mean"), group]
    plan = load_config(_config(*features, reserves=["clk"], multi_val_sep="|", num_steps=10))
    assert [feature.name for feature in plan.features] == ["f", "r", "c", "s__f"]
    assert plan.features[1].bucketizer == Boundaries((1.0, 2.5))
    with pytest.raises(ConfigError, match="reserve: unknown key"):
        load_config(_config(reserve=[]))


def test_vocabulary_files_are_found_beside_the_config(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("a\nb 7\n")
    feature = _id(hash_bucket_size=None, vocab_file="words.txt", default_bucketize_value=0)
    (tmp_path / "fg.json").write_text(json.dumps(_config(feature)))
    assert load_config(tmp_path / "fg.json").features[0].bucketizer.size == 8  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("key", "side"), [("clicks", Side.USER), ("user:clicks", Side.USER), ("item:views", Side.ITEM)]
)
def test_the_side_of_a_sequence(key: str, side: Side) -> None:
    inner = {"feature_type": "id_feature", "feature_name": "f", "expression": "x", "num_buckets": 9}
    inner["expression"] = f"{side.value}:x"
    sequence = {"sequence_name": "s", "sequence_pk": key, "features": [inner]}
    (feature,) = load_config({"features": [sequence]}).features
    assert (feature.side, feature.name) == (side, "s__f")
