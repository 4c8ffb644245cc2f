"""Whatever a config holds, reading it ends in a plan or in a ConfigError."""

from __future__ import annotations

import json
import math
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtcompile.errors import ConfigError
from rtcompile.features.config.parse_config import load_config
from rtcompile.features.conversion.text_proto import parse_text_proto

FOLDER = Path(__file__).parents[2] / "conformance"

# One feature of each type, complete.
TYPES: list[dict[str, Any]] = [
    {"feature_type": "id_feature", "expression": "user:a", "hash_bucket_size": 10},
    {"feature_type": "id_feature", "expression": "user:a", "vocab_dict": {"a": 2}},
    {"feature_type": "id_feature", "expression": "user:a", "weighted": True, "num_buckets": 3},
    {"feature_type": "sequence_id_feature", "expression": "user:a", "vocab_list": ["a"]},
    {"feature_type": "raw_feature", "expression": "item:a", "normalizer": "method=log10"},
    {"feature_type": "raw_feature", "expression": "item:a", "boundaries": [1, 2]},
    {"feature_type": "combo_feature", "expression": ["user:a", "item:b"], "hash_bucket_size": 9},
    {"feature_type": "lookup_feature", "map": "user:a", "key": "item:b", "combiner": "max"},
    {
        **{"feature_type": "match_feature", "user": "user:a", "category": "ALL", "item": "item:b"},
        **{"needDiscrete": True, "hash_bucket_size": 9},
    },
    {"feature_type": "expr_feature", "variables": ["user:a"], "expression": "a>1?a:-a^2"},
    {
        **{"feature_type": "overlap_feature", "query": "user:a", "title": "item:b"},
        "method": "is_equal",
    },
    {"feature_type": "combine_feature", "expression": "user:a", "value_map": {"a": 1.5}},
    {"feature_type": "kv_dot_product", "query": "user:a", "document": "item:b"},
    {"feature_type": "bool_mask_feature", "expression": ["user:a", "item:b"], "num_buckets": 3},
    {
        **{"feature_type": "custom_feature", "operator_name": "SeqExpr", "formula": "a-b"},
        **{"expression": ["user:a", "user:b"], "is_sequence": True},
    },
    {
        **{"feature_type": "custom_feature", "operator_name": "EditDistance"},
        "expression": ["user:a", "user:b"],
    },
    {"feature_type": "custom_feature", "operator_name": "X", "operator_lib_file": "none.so"},
]
KEYS = [
    *sorted({key for one in TYPES for key in one} | {"feature_name", "sequence_fields"}),
    *("separator", "default_value", "value_dim", "sequence_length", "vocab_file", "need_prefix"),
    *("default_bucketize_value", "embedding_dim", "stub_type", "value_type", "pooling", "x"),
]
TEXTS = st.one_of(
    st.text(max_size=8),
    st.sampled_from(["user:a", "feature:f0", "feature:f1", "item:", "const:a", "a\0b", "\ud800"]),
    st.sampled_from(["/dev/zero", "cases.json", "data", "(" * 3000 + "a", "a+" * 3000 + "a"]),
    st.sampled_from(["method=zscore,mean=nan", "method=expression,expr=" + "-" * 3000 + "x"]),
)
NUMBERS = st.one_of(
    st.integers(),
    st.floats(),
    st.sampled_from([0, -1, 1 << 31, 1 << 62, 1 << 63, 1 << 64, 10**400, 1e308, math.nan]),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
CHANGES = st.dictionaries(st.sampled_from(KEYS) | TEXTS, VALUES, max_size=3)


@st.composite
def features(draw: st.DrawFn) -> Any:
    """A complete feature, some of whose keys are something else."""
    if draw(st.integers(0, 19)) == 0:
        return draw(VALUES)
    feature = {"feature_name": draw(st.sampled_from(["f0", "f1", "f2"]))}
    feature |= draw(st.sampled_from(TYPES)) | draw(CHANGES)
    for key in draw(st.lists(st.sampled_from(KEYS), max_size=1)):
        feature.pop(key, None)
    return feature


GROUPS = st.fixed_dictionaries(
    {"sequence_name": st.sampled_from(["s", "f0"]), "features": st.lists(features(), max_size=2)},
    optional={"sequence_length": NUMBERS, "sequence_delim": TEXTS, "sequence_pk": VALUES},
)
TOP = st.dictionaries(
    st.sampled_from(["hash", "dialect", "pipeline_config", "embedding_dim", "reserves"]) | TEXTS,
    VALUES | st.sampled_from(["easyrec", "pyfg", "murmur", "cases.json"]),
    max_size=2,
)
CONFIGS = st.builds(
    lambda top, found: {**top, "features": found}, TOP, st.lists(features() | GROUPS, max_size=3)
)


def _read(config: Any) -> None:
    try:
        load_config(config, FOLDER)
    except ConfigError as error:
        assert error.problems
        assert len(str(error)) < 20_000


@settings(max_examples=60, deadline=None)
@given(CONFIGS | VALUES)
def test_only_a_config_error_comes_out(config: Any) -> None:
    _read(config)


@pytest.mark.long
@settings(max_examples=20_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(CONFIGS | VALUES)
def test_only_a_config_error_comes_out_of_many(config: Any) -> None:
    _read(config)


@pytest.mark.long
@settings(max_examples=5_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(CONFIGS, st.data())
def test_files_that_were_cut_and_changed(config: Any, data: st.DataObject) -> None:
    text = bytearray(json.dumps(config).encode())
    for place in data.draw(st.lists(st.integers(0, max(len(text) - 1, 0)), max_size=3)):
        text[place] = data.draw(st.integers(0, 255))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fg.json"
        path.write_bytes(text[: data.draw(st.integers(0, len(text)))])
        try:
            load_config(path, FOLDER)
        except ConfigError as error:
            assert str(path) in str(error)


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="ab{}<>[]:;,\"'\\#0.-e \n", max_size=40))
def test_text_protos_are_parsed_or_refused(text: str) -> None:
    try:
        parse_text_proto(text)
    except ValueError as error:
        assert "line" in str(error)


def _id(**keys: Any) -> dict[str, Any]:
    return {"feature_type": "id_feature", "feature_name": "f", "expression": "user:a", **keys}


def _expr(expression: str) -> dict[str, Any]:
    keys = {"variables": ["user:a"], "expression": expression}
    return {"feature_type": "expr_feature", "feature_name": "f", **keys}


def _operator(name: str) -> dict[str, Any]:
    keys = {"operator_name": "E", "operator_lib_file": name, "expression": ["user:a"]}
    return {"feature_type": "custom_feature", "feature_name": "f", **keys}


@pytest.mark.parametrize(
    ("feature", "message"),
    [
        (_id(vocab_file="pipe", default_bucketize_value=0), "vocab_file: .*pipe or a device"),
        (_id(vocab_file="/dev/zero", default_bucketize_value=0), "vocab_file: /dev/zero is a pipe"),
        (_id(vocab_file=".", default_bucketize_value=0), "vocab_file: .*is a folder"),
        (_id(vocab_file="a\0b", default_bucketize_value=0), "vocab_file: .*is no file name"),
        (_id(feature_type="tokenize_feature", vocab_file="pipe"), "vocab_file: .*pipe or a device"),
        (_operator("exit.py"), "operator_name: E: SystemExit: 3"),
        (_operator("exit_at_once.py"), r"operator_lib_file: .*SystemExit: 3"),
        (_operator("again.py"), "operator_name: E: RecursionError"),
        (_operator("doubles.py"), "operator_name: more than 4096 operations"),
        (_operator("/dev/zero"), "operator_name: 'E' is not built in"),
        (_expr("(" * 5_000 + "a" + ")" * 5_000), "expression: more than 128 operations inside"),
        (_expr("+".join(["a"] * 5_000)), "expression: more than 128 operations inside"),
        (_expr("max(" + ",".join(["a"] * 10_000) + ")"), "expression: more than 4096 operations"),
        (_id(hash_bucket_size=1 << 63), "hash_bucket_size: 9223372036854775808 is not allowed"),
        (_id(hash_bucket_size=9, value_dim=1 << 62), "value_dim: 4611686018427387904 is not"),
        (_id(vocab_dict={"a": 1 << 70}), "vocab_dict.a: .* is not allowed"),
        (_id(hash_bucket_size=9, feature_name="\0item"), "feature_name: a name has no zero byte"),
        (_id(hash_bucket_size=9, expression="user:\0item"), "expression: a name has no zero byte"),
        (_id(hash_bucket_size=9, default_value="\ud800"), "default_value: half of a surrogate"),
        (_id(hash_bucket_size=9, sequence_fields=["a"]), "sequence_fields: the feature is in no"),
    ],
)
def test_what_is_hostile_is_named(tmp_path: Path, feature: dict[str, Any], message: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    head = "import sys\nfrom rtcompile.operators import operator\n@operator\ndef E(a):\n    "
    (tmp_path / "exit.py").write_text(head + "sys.exit(3)")
    (tmp_path / "exit_at_once.py").write_text("raise SystemExit(3)")
    (tmp_path / "again.py").write_text(head + "return E(a)")
    (tmp_path / "doubles.py").write_text(head + "for _ in range(60): a = a + a\n    return a")
    with pytest.raises(ConfigError, match=rf"features\[0\]\.{message}"):
        load_config({"features": [feature]}, tmp_path)


def test_refusals_do_not_repeat_megabytes() -> None:
    long = "x" * 1_000_000
    features = [{"feature_type": long, "feature_name": long, long: 1} for _ in range(200)]
    with pytest.raises(ConfigError) as caught:
        load_config({"features": features, long: 1, "hash": long, "dialect": [long]})
    assert len(caught.value.problems) == 101
    assert caught.value.problems[-1] == "and 103 more"
    assert len(str(caught.value)) < 100_000


def test_features_that_read_each_other_without_end() -> None:
    chain = [_id(feature_name="f0", hash_bucket_size=9)]
    for place in range(1, 400):
        keys = {"expression": f"feature:f{place - 1}", "hash_bucket_size": 9}
        chain.append(_id(feature_name=f"f{place}", **keys))
    with pytest.raises(ConfigError, match=r"features\[17\].expression: .*17 features read each"):
        load_config({"features": chain})
    circle = [_id(feature_name="f0", expression="feature:f1", hash_bucket_size=9), chain[1]]
    with pytest.raises(ConfigError, match="feature:f1 names no feature that stands before"):
        load_config({"features": circle})


def test_a_config_that_never_ends(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fg.json")
    for path in (tmp_path / "fg.json", Path("/dev/zero"), tmp_path):
        with pytest.raises(ConfigError, match=r"a pipe or a device|a folder"):
            load_config(path)
    (tmp_path / "long").write_text('{"features": [' + "1" * 10_000 + "]}")
    with pytest.raises(ConfigError, match=r"digits|an object is needed"):
        load_config(tmp_path / "long")
