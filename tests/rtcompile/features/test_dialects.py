"""What keys that a config leaves out mean, by whose config it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtcompile.errors import ConfigError
from rtcompile.features import compile_features
from rtcompile.features.config.parse_config import load_config
from rtcompile.features.hashing import murmur
from rtcompile.features.plan import HashBucket, NumBuckets, Vocabulary
from rtcompile.features.reference.reference_features import extract

SIZE = 1_000_000
NESTED = "111^5:0.2,6:0.3|222^7:0.1,8:19|ALL^8:4"
EASYREC = {"dialect": "easyrec"}

PIPELINE = """
# What trains on the features.
train_input_path: "a" 'b'
model_dir: 'x'
data_config { input_fields { input_name: "uid" input_type: STRING } separator: "\\002" }
feature_configs { input_names: "uid" feature_type: IdFeature hash_bucket_size: 100
                  embedding_dim: 16, combiner: "mean"; }
feature_configs: < feature_name: "tags" input_names: ["t", "u"] feature_type: TagFeature
                   vocab_list: ["x", "y"] vocab_list: "z" embedding_name: "shared"
                   shared_names: "others" >
feature_configs { input_names: "price" feature_type: RawFeature boundaries: [1, 2.5, 1e1]
                  embedding_dim: 8 }
feature_configs { input_names: "s_item" feature_type: SequenceFeature num_buckets: 0x10 }
model_config { model_class: "DeepFM" deepfm { dnn { hidden_units: [128, 64] } } }
"""


def _id(name: str = "f", **keys: Any) -> dict[str, Any]:
    return {"feature_type": "id_feature", "feature_name": name, "expression": "item:v", **keys}


def _match(**keys: Any) -> dict[str, Any]:
    given = {"user": "user:u", "category": "item:c", "item": "item:b", "hash_bucket_size": SIZE}
    return {"feature_type": "match_feature", "feature_name": "m", **given, **keys}


def _lookup(**keys: Any) -> dict[str, Any]:
    given = {"map": "item:a", "key": "item:k", "hash_bucket_size": SIZE}
    return {"feature_type": "lookup_feature", "feature_name": "m", **given, **keys}


def _values(feature: dict[str, Any], columns: dict[str, Any], **top: Any) -> list[Any]:
    plan = load_config({"features": [feature], **top})
    return list(extract(plan, columns)[feature["feature_name"]].values.tolist())


def _hashed(*texts: str) -> list[int]:
    return [murmur(text.encode()) % SIZE for text in texts]


HIT = {"u": [NESTED], "c": ["222"], "b": ["8"]}


@pytest.mark.parametrize(
    ("keys", "top", "text"),
    [
        ({"needDiscrete": True, "matchType": "hit"}, {}, "m_222_8_19"),
        ({"need_discrete": True}, {}, "m_222_8_19"),
        ({"need_discrete": True, "show_pkey": False}, {}, "m_8_19"),
        ({"need_discrete": True, "show_item": False}, {}, "m_222_19"),
        ({"need_discrete": True, "show_category": False, "show_skey": False}, {}, "m_19"),
        ({"need_discrete": True, "category": "ALL"}, {}, "m_ALL_8_4"),
        ({"need_discrete": True, "match_type": "multihit"}, {}, "m_19"),
        ({"need_discrete": True, "match_type": "multihit", "show_skey": True}, {}, "m_8_19"),
        # A bucketizer of texts alone makes text, and shows no key.
        ({}, {}, "m_19"),
        ({"show_pkey": True}, {}, "m_222_19"),
        ({"need_discrete": True, "need_prefix": False}, {}, "222_8_19"),
        ({"need_discrete": True, "value_type": "string"}, {}, "m_222_8_19"),
        ({}, EASYREC, "m_222_8_19"),
        ({"value_type": "Float"}, EASYREC, "m_222_8_19"),
        ({"category": "ALL"}, EASYREC, "m_ALL_8_4"),
        ({"need_prefix": False}, EASYREC, "222_8_19"),
    ],
)
def test_what_a_match_shows(keys: dict[str, Any], top: dict[str, Any], text: str) -> None:
    assert _values(_match(**keys), HIT, **top) == _hashed(text)


@pytest.mark.parametrize(
    ("keys", "top", "text"),
    [
        ({}, {}, "v2"),
        ({"needKey": True}, {}, "k2_v2"),
        ({"need_discrete": True, "need_prefix": True}, {}, "m_v2"),
        ({}, EASYREC, "m_k2_v2"),
        ({"needKey": False}, EASYREC, "m_v2"),
        ({"needDiscrete": True, "need_prefix": False}, EASYREC, "k2_v2"),
    ],
)
def test_what_a_lookup_shows(keys: dict[str, Any], top: dict[str, Any], text: str) -> None:
    columns = {"a": ["k1:v1\x1dk2:v2"], "k": ["k2"]}
    assert _values(_lookup(**keys), columns, **top) == _hashed(text)


@pytest.mark.parametrize("keys", [{"need_key": True}, {"need_key": True, "value_type": "double"}])
def test_keys_are_not_shown_before_numbers(keys: dict[str, Any]) -> None:
    lookup = {**_lookup(**keys), "hash_bucket_size": None}
    assert _values(lookup, {"a": ["k:2.5"], "k": ["k"]}) == [[2.5]]
    match = {**_match(show_pkey=True, show_skey=True), "hash_bucket_size": None}
    assert _values(match, HIT) == [[19.0]]
    assert _values({**match, "boundaries": [1, 20]}, HIT) == [1]


@pytest.mark.parametrize("kind", ["float", "double", "int32", "int64", "FLOAT"])
@pytest.mark.parametrize("make", [_match, _lookup])
def test_text_of_numbers_is_an_error(make: Any, kind: str) -> None:
    with pytest.raises(ConfigError, match="need_discrete: true makes texts, but value_type is"):
        load_config({"features": [make(need_discrete=True, value_type=kind)]})
    with pytest.raises(ConfigError, match="hash_bucket_size: not for this feature"):
        load_config({"features": [make(value_type=kind)]})


@pytest.mark.parametrize(
    ("feature", "top", "keys"),
    [
        (_match(need_discrete=True), {}, "show_category and show_item"),
        (_match(show_pkey=True), {}, "show_category"),
        (_lookup(need_key=True), {}, "need_key"),
        (_lookup(need_prefix=False), EASYREC, "need_key"),
    ],
)
def test_keys_before_an_integer(feature: dict[str, Any], top: dict[str, Any], keys: str) -> None:
    counted = {**feature, "hash_bucket_size": None, "num_buckets": 9}
    with pytest.raises(ConfigError, match=f"num_buckets: .* no integer; write false for {keys}"):
        load_config({"features": [counted], **top})


# -- EasyRec --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "texts"),
    [
        (100, ["f_100"]),
        (5.2, ["f_5"]),
        (-5.9, ["f_-5"]),
        (1e300, [f"f_{int(1e300)}"]),
        (np.float32(2.5), ["f_2"]),
        ("5.2", ["f_5.2"]),
        ("abc\x1dbcd", ["f_abc", "f_bcd"]),
        ([1.9, "2.9", 3], ["f_1", "f_2.9", "f_3"]),
        (np.array([1.5, 2.0]), ["f_1", "f_2"]),
        (float("inf"), ["f_inf"]),
        (float("nan"), []),
        (None, []),
    ],
)
def test_numbers_are_cut_and_prefixed(value: Any, texts: list[str]) -> None:
    assert _values(_id(hash_bucket_size=SIZE), {"v": [value]}, **EASYREC) == _hashed(*texts)


def test_other_texts_of_easyrec() -> None:
    combo = {"feature_type": "combo_feature", "feature_name": "f", "hash_bucket_size": SIZE}
    combo["expression"] = ["item:v", "item:w"]
    columns = {"v": [1.5], "w": ["a\x1db"]}
    assert _values(combo, columns, **EASYREC) == _hashed("f_1_a", "f_1_b")
    weighted = _id(weighted=True, hash_bucket_size=SIZE, need_prefix=False)
    assert _values(weighted, {"v": [{5.7: 2.5, "a": 1}]}, **EASYREC) == _hashed("5", "a")
    # A vocabulary has the words that are made, and reserves no codes.
    listed = _id(vocab_list=["f_x", "f_y"])
    assert _values(listed, {"v": ["y", "x", "z"]}, **EASYREC) == [1, 0, 0]
    numbers = {"feature_type": "raw_feature", "feature_name": "r", "expression": "item:v"}
    assert _values(numbers, {"v": [5.25]}, **EASYREC) == [[5.25]]


def test_a_vocabulary_file_of_easyrec_has_a_word_a_line(tmp_path: Path) -> None:
    (tmp_path / "words").write_text("f_a 7\nf_b\n")
    config = {"features": [_id(vocab_file="words")], **EASYREC}
    plan = load_config(config, tmp_path)
    assert extract(plan, {"v": ["a 7", "b", "c"]})["f"].values.tolist() == [0, 1, 0]


def test_what_pipeline_config_adds(tmp_path: Path) -> None:
    (tmp_path / "pipeline.config").write_text(PIPELINE)
    group = {"sequence_name": "s", "features": [_id("item", need_prefix=False)]}
    raw = {"feature_type": "raw_feature", "feature_name": "price", "expression": "item:p"}
    features = [_id("uid"), _id("tags"), _id("others", embedding_dim=3), raw, group]
    top = {**EASYREC, "pipeline_config": "pipeline.config", "embedding_dim": 5}
    uid, tags, others, price, item = load_config({"features": features, **top}, tmp_path).features
    assert uid.bucketizer == HashBucket(100, "murmur")
    assert uid.embedding is not None
    assert (uid.embedding.dimension, uid.embedding.pooling) == (16, "mean")
    for feature in (tags, others):
        assert isinstance(feature.bucketizer, Vocabulary)
        assert feature.bucketizer.entries == ((b"x", 0), (b"y", 1), (b"z", 2))
        assert feature.embedding is not None
        assert feature.embedding.table == "shared"
    assert others.embedding is not None
    assert tags.embedding is not None
    assert (tags.embedding.dimension, others.embedding.dimension) == (5, 3)
    assert getattr(price.bucketizer, "values", None) == (1.0, 2.5, 10.0)
    assert item.bucketizer == NumBuckets(16)


@pytest.mark.parametrize(
    ("text", "features", "message"),
    [
        (PIPELINE, [_id("uid", hash_bucket_size=9)], "hash_bucket_size: 9, but pipeline.config"),
        (PIPELINE, [_id("none")], "none is given; give one of .*or name EasyRec's pipeline.config"),
        ("", [], "pipeline_config: it has no feature_configs"),
        ("feature_configs {", [], "pipeline_config: line 1: unexpected the end"),
        ("a: 1\nb: @", [], "pipeline_config: line 2: unexpected '@'"),
        ("a" + "{a" * 200, [], "pipeline_config: .* messages inside each other"),
        ("feature_configs { }", [], "has neither feature_name nor input_names"),
        (
            "feature_configs {feature_name:'a' num_buckets:1} feature_configs {feature_name:'a'}",
            [],
            "two feature_configs are called 'a'",
        ),
        (
            "feature_configs {feature_name:'a' hash_bucket_size:'x'}",
            [_id("a")],
            r'features\[0\].hash_bucket_size: "x" is not allowed',
        ),
    ],
)
def test_bad_pipeline_configs(tmp_path: Path, text: str, features: list[Any], message: str) -> None:
    (tmp_path / "p.config").write_text(text)
    config = {"features": features, **EASYREC, "pipeline_config": "p.config"}
    with pytest.raises(ConfigError, match=message):
        load_config(config, tmp_path)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"features": [_id()]}, 'write "dialect": "easyrec" and "pipeline_config": PATH'),
        ({"features": [], "dialect": "rtp"}, "dialect: 'rtp' is not allowed; use one of pyfg, eas"),
        ({"features": [], "dialekt": "pyfg"}, "dialekt: unknown key; did you mean 'dialect'"),
        ({"features": [], "pipeline_config": "x"}, "pipeline_config: only with"),
        ({"features": [], **EASYREC, "pipeline_config": 3}, "pipeline_config: 3 is not allowed"),
        ({"features": [], **EASYREC, "pipeline_config": "/dev/zero"}, "is a pipe or a device"),
        ({"features": [], **EASYREC, "embedding_dim": 0}, "embedding_dim: 0 is not allowed"),
        ({"features": [_id(num_buckets=9)], **EASYREC}, "need_prefix: a prefixed value is no int"),
        (
            {
                **EASYREC,
                "features": [
                    {
                        **{"feature_type": "overlap_feature", "feature_name": "o"},
                        **{"query": "user:q", "title": "item:t", "method": "is_equal"},
                    }
                ],
            },
            "feature_type: not supported in the dialect easyrec",
        ),
    ],
)
def test_what_a_dialect_does_not_allow(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(config)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"sequence_fields": ["w"]}, "'w' is none of the feature's inputs, v"),
        (
            {"feature_type": "combo_feature", "expression": ["user:v", "user:w"]},
            "sequence_fields: none of the inputs v, w is a sequence",
        ),
        (
            {
                **{"feature_type": "combo_feature", "expression": ["user:clicked", "user:w"]},
                "sequence_fields": ["cliked"],
            },
            "'cliked' is none .* did you mean 'clicked'",
        ),
    ],
)
def test_sequence_fields_are_inputs(keys: dict[str, Any], message: str) -> None:
    feature = _id(**{"hash_bucket_size": 9, **keys})
    with pytest.raises(ConfigError, match=message):
        load_config({"features": [{"sequence_name": "s", "features": [feature]}]})


CELLS = st.one_of(
    st.floats(),
    st.integers(-(1 << 60), 1 << 60),
    st.sampled_from(["", "a", "5.5", None, True, "222", "8", "k1"]),
    st.lists(st.floats() | st.sampled_from(["a", 3, None]), max_size=3),
)


@pytest.mark.slow
@pytest.mark.parametrize("dialect", ["pyfg", "easyrec"])
def test_the_kernels_agree_with_the_reference(dialect: str) -> None:
    combo = {"feature_type": "combo_feature", "feature_name": "combo", "hash_bucket_size": SIZE}
    features = [
        _id("id", hash_bucket_size=SIZE),
        _id("bare", hash_bucket_size=SIZE, need_prefix=False),
        _id("listed", vocab_list=["listed_a", "a", "5"]),
        _id("counted", num_buckets=9, need_prefix=False),
        _id("seq", feature_type="sequence_id_feature", hash_bucket_size=SIZE),
        {**combo, "expression": ["item:v", "item:w"]},
        {**_match(need_discrete=True), "feature_name": "both"},
        {**_match(need_discrete=True, show_pkey=False), "feature_name": "second"},
        {**_match(need_discrete=True, match_type="multihit"), "feature_name": "wild"},
        {**_lookup(needKey=True), "feature_name": "keyed"},
        {**_lookup(needKey=False), "feature_name": "unkeyed"},
    ]
    extractor = compile_features({"features": features, "dialect": dialect})

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.tuples(CELLS, CELLS, CELLS, CELLS), min_size=1, max_size=4))
    def agree(rows: list[tuple[Any, ...]]) -> None:
        columns = {name: [row[k] for row in rows] for k, name in enumerate("vwcb")}
        columns |= {"k": columns["w"], "u": [NESTED], "a": ["a:1\x1d5:2\x1dk1:3"]}
        want = extract(extractor.plan, columns)
        for name, column in extractor(columns).items():
            for part in ("values", "lengths", "key_lengths", "seq_lengths"):
                got, expected = getattr(column, part), getattr(want[name], part)
                assert (got is None) == (expected is None), (name, part)
                if got is not None:
                    np.testing.assert_array_equal(got, expected, f"{name}.{part}")

    agree()
