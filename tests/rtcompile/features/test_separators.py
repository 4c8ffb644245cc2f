"""A separator comes on top of \\x1d, which every text is split on: in each type, of any length."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtcompile.errors import ConfigError
from rtcompile.features import compile_features
from rtcompile.features.config.parse_config import load_config
from rtcompile.features.reference.reference_features import extract
from rtcompile.runtime.columns import Column

SEPARATORS = ("|", ";", "||", "<>", "\N{IDEOGRAPHIC COMMA}", "a b c d e f g h ")
COMPILED = ("|", "<>", "\N{IDEOGRAPHIC COMMA}")
PARTS = ("values", "lengths", "key_lengths", "seq_lengths", "weights")

# Type -> its keys; every text of it is a list of words, weights, numbers or truths.
FEATURES: dict[str, dict[str, Any]] = {
    "id": {"feature_type": "id_feature", "expression": "user:words", "hash_bucket_size": 1000},
    "prefixed": {
        **{"feature_type": "id_feature", "expression": "user:words", "need_prefix": True},
        "hash_bucket_size": 1000,
    },
    "listed": {
        **{"feature_type": "id_feature", "expression": "user:words"},
        **{"vocab_list": ["u", "v", "w"], "default_bucketize_value": 9},
    },
    "weighted": {
        **{"feature_type": "id_feature", "expression": "user:weights", "weighted": True},
        "hash_bucket_size": 1000,
    },
    "whole": {"feature_type": "id_feature", "expression": "user:numbers", "num_buckets": 100},
    "raw": {"feature_type": "raw_feature", "expression": "user:numbers", "value_dim": 3},
    "binned": {
        **{"feature_type": "raw_feature", "expression": "user:numbers", "value_dim": 3},
        **{"boundaries": [2, 5], "default_value": ""},
    },
    "combo": {
        **{"feature_type": "combo_feature", "expression": ["user:words", "user:others"]},
        "hash_bucket_size": 1000,
    },
    "lookup": {"feature_type": "lookup_feature", "map": "user:map", "key": "user:words"},
    "match": {
        **{"feature_type": "match_feature", "user": "user:nested", "category": "user:words"},
        "item": "user:others",
    },
    "expr": {
        **{"feature_type": "expr_feature", "variables": ["user:numbers"]},
        **{"expression": "reduce_sum(numbers)"},
    },
    "overlap": {
        **{"feature_type": "overlap_feature", "query": "user:words", "title": "user:others"},
        "method": "query_common_ratio",
    },
    "combine": {"feature_type": "combine_feature", "expression": "user:numbers"},
    "dot": {
        **{"feature_type": "kv_dot_product", "query": "user:weights", "document": "user:weights"},
    },
    "masked": {
        **{"feature_type": "bool_mask_feature", "expression": ["user:words", "user:truths"]},
        "hash_bucket_size": 1000,
    },
    "sequence": {
        **{"feature_type": "sequence_id_feature", "expression": "user:words"},
        **{"hash_bucket_size": 1000, "sequence_delim": "#"},
    },
    "numbers": {
        **{"feature_type": "sequence_raw_feature", "expression": "user:numbers"},
        **{"value_dim": 2, "sequence_delim": "#"},
    },
}


def _config(separator: str, name: str = "") -> list[dict[str, Any]]:
    found = []
    for kind, keys in FEATURES.items():
        found.append({**keys, "feature_name": f"{name}{kind}", "separator": separator})
    # Texts of another feature are split by who reads them.
    inner = {"feature_type": "lookup_feature", "map": "user:texts", "key": "user:key"}
    stub = {"need_discrete": True, "stub_type": True, "feature_name": f"{name}inner"}
    reader = {"feature_type": "id_feature", "expression": f"feature:{name}inner"}
    found.append({**inner, **stub})
    found.append({**reader, "feature_name": f"{name}outer", "hash_bucket_size": 1000})
    found[-1]["separator"] = separator
    return found


WORDS = st.sampled_from(["u", "v", "w", "x" * 20])
NUMBERS = st.integers(1, 9).map(str)
WEIGHTS = st.tuples(WORDS, NUMBERS).map(":".join)
TRUTHS = st.sampled_from(["true", "0", "1"])
CHOICES = st.lists(st.integers(0, 1), min_size=6, max_size=6)


def _joined(words: list[str], choices: list[int], separator: str) -> str:
    """The words with either separator between them."""
    text = words[0] if words else ""
    for word, choice in zip(words[1:], choices, strict=False):
        text += ("\x1d", separator)[choice] + word
    return text


def _columns(given: dict[str, Any], separator: str) -> dict[str, list[Any]]:
    lists = {n: _joined(given[n], given["choices"], separator) for n in LISTS}
    shown = {"map": "u:1\x1dv:2", "nested": "u^v:1,w:2\x1du:3|v^v:4", "key": "k"}
    texts = {"texts": {"k": lists["words"]}}
    return {name: [value] for name, value in {**lists, **shown, **texts}.items()}


LISTS = {"words": WORDS, "others": WORDS, "numbers": NUMBERS, "weights": WEIGHTS, "truths": TRUTHS}
GIVEN = st.fixed_dictionaries(
    {**{name: st.lists(one, max_size=6) for name, one in LISTS.items()}, "choices": CHOICES}
)


def _equal(found: Column, want: Column, name: str) -> None:
    for part in PARTS:
        got, expected = getattr(found, part), getattr(want, part)
        assert (got is None) == (expected is None), (name, part)
        if got is not None:
            np.testing.assert_array_equal(got, expected, f"{name}.{part}")


@settings(max_examples=25, deadline=None)
@given(GIVEN, st.sampled_from(SEPARATORS))
def test_either_separator_splits_a_text(given_: dict[str, Any], separator: str) -> None:
    plain = load_config({"features": _config("\x1d")})
    both = load_config({"features": _config(separator)})
    want = extract(plain, _columns(given_, "\x1d"))
    for name, column in extract(both, _columns(given_, separator)).items():
        _equal(column, want[name], name)


@pytest.mark.slow
def test_the_kernels_split_as_the_reference_does() -> None:
    features = [f for k, s in enumerate(COMPILED) for f in _config(s, f"s{k}_")]
    extractor = compile_features({"features": features})

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(GIVEN, min_size=1, max_size=3), st.sampled_from(COMPILED))
    def agree(rows: list[dict[str, Any]], separator: str) -> None:
        each = [_columns(row, separator) for row in rows]
        columns = {name: [one[name][0] for one in each] for name in each[0]}
        want = extract(extractor.plan, columns)
        for name, column in extractor(columns).items():
            _equal(column, want[name], name)

    agree()


@pytest.mark.parametrize(
    ("separator", "message"),
    [("x" * 17, "17 bytes; at most 16"), (",\x1d", "separates values by itself")],
)
def test_separators_that_are_refused(separator: str, message: str) -> None:
    feature = {**FEATURES["id"], "feature_name": "f", "separator": separator}
    with pytest.raises(ConfigError, match=rf"features\[0\].separator: .*{message}"):
        load_config({"features": [feature]})
