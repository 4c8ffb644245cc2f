"""regex_replace_feature: expected values are those that the peer's users measured of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rtcompile.errors import ConfigError
from rtcompile.features import compile_features
from rtcompile.features.config.parse_config import load_config
from rtcompile.features.reference.reference_features import extract
from rtcompile.runtime.columns import Column
from rtcompile.runtime.encoding.text_steps import ReplaceRegex, prepare
from tests.conformance.cases import FOLDER

pytest.importorskip("re2")

EOS = "<|endoftext|>"  # token 0 of the tokenizer
TRUNCATE = {"regex_pattern": "(?s)^(.{0,8}).*$", "replacement": rf"\1{EOS}", "replace_all": False}


def _regex(**keys: Any) -> dict[str, Any]:
    base = {"feature_type": "regex_replace_feature", "feature_name": "f"}
    return {**base, "expression": "item:t", "regex_pattern": r"\|", "replacement": " ", **keys}


def _values(features: list[dict[str, Any]], columns: dict[str, Any], name: str = "f") -> Column:
    """Of the reference, which the kernels must agree with."""
    plan = load_config({"features": features}, FOLDER)
    want = extract(plan, columns)[name]
    found = compile_features({"features": features}, FOLDER)(columns)[name]
    for part in ("values", "lengths", "key_lengths", "seq_lengths"):
        got, expected = getattr(found, part), getattr(want, part)
        assert (got is None) == (expected is None), part
        if got is not None:
            np.testing.assert_array_equal(got, expected, part)
    return want


def _listed(column: Column) -> tuple[list[int], list[int]]:
    assert column.lengths is not None
    return column.values.tolist(), column.lengths.tolist()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("keys", "texts", "values", "lengths"),
    [
        (
            {"vocab_list": ["中华 人民 共和国", "abc"]},
            *(["中华|人民|共和国", "abc", None], [2, 3], [1, 1, 0]),
        ),
        (
            {"vocab_list": ["中华 人民|共和国", "abc"], "replace_all": False},
            *(["中华|人民|共和国", "abc", None], [2, 3], [1, 1, 0]),
        ),
        (
            {"regex_pattern": [r"\|", "#", r"\(.*\)"], "replacement": "", "vocab_list": ["abc"]},
            *(["a|b#c(d)", "abc", None], [2, 2], [1, 1, 0]),
        ),
        (
            {"regex_pattern": "abc", "replacement": "x", "icase": True, "vocab_list": ["xd"]},
            *(["ABCd", "abcd", None], [2, 2], [1, 1, 0]),
        ),
        (
            {
                **{"regex_pattern": "(?s)^(.{0,3}).*$", "replacement": r"\1<e>"},
                **{"replace_all": False, "vocab_list": ["abc<e>", "中华人<e>"]},
            },
            *(["abcdef", "中华人民共和国", None], [2, 3], [1, 1, 0]),
        ),
        # The default value is not replaced, and is one value.
        ({"default_value": "x|y", "vocab_list": ["a b"]}, ["a|b", None], [2, 0], [1, 1]),
        (
            {"regex_pattern": "[^0-9]", "replacement": "", "num_buckets": 100},
            *(["id7", "id42", None], [7, 42], [1, 1, 0]),
        ),
        # A list's values are replaced one by one; a text is one value, whatever separates others.
        ({"vocab_list": ["a b", "c d"]}, [["a|b", "c|d"], ["c|d"]], [2, 3, 3], [2, 1]),
        ({"vocab_list": ["a\x1db", "a,b"], "separator": ","}, ["a\x1db", "a,b"], [2, 3], [1, 1]),
        ({"vocab_list": ["f_a b"], "need_prefix": True}, ["a|b", "c"], [2, 1], [1, 1]),
    ],
)
def test_values_of_the_peer(
    keys: dict[str, Any], texts: list[Any], values: list[int], lengths: list[int]
) -> None:
    assert _listed(_values([_regex(**keys)], {"t": texts})) == (values, lengths)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["is_sequence", "type", "group"])
def test_in_a_sequence(kind: str) -> None:
    keys = {"vocab_list": ["a b", "c d"], "separator": ","}
    alone = {"sequence_delim": ";", "sequence_length": 50}
    feature = _regex(**keys, **(alone if kind != "group" else {}), is_sequence=kind != "type")
    features, column, name = [feature], "t", "f"
    if kind == "type":
        feature["feature_type"] = "sequence_regex_replace_feature"
    if kind == "group":
        group = {"sequence_name": "s", "sequence_length": 50, "features": [feature]}
        features, column, name = [group], "s__t", "s__f"
    found = _values(features, {column: ["a|b;c|d", "c|d", "a|b,c|d;\x1dc|d"]}, name)
    assert found.values.tolist() == [2, 3, 3, 2, 3, 3]
    assert found.key_lengths is not None
    assert found.seq_lengths is not None
    assert found.key_lengths.tolist() == [1, 1, 1, 2, 1]
    assert found.seq_lengths.tolist() == [2, 1, 2]


@pytest.mark.slow
def test_texts_are_cut_and_ended_before_a_tokenizer() -> None:
    pytest.importorskip("tokenizers")
    stub = _regex(**TRUNCATE, stub_type=True, feature_name="cut")
    reader = {"feature_type": "tokenize_feature", "feature_name": "f", "default_value": "0"}
    reader |= {"expression": "feature:cut", "vocab_file": "data/test/tokenizer.json"}
    whole = {**reader, "tokens_as_sequence": True}
    texts = ["abc efg hij klm", "hij", None]
    found = _values([stub, whole], {"t": texts})
    assert found.values.tolist() == [19758, 299, 16054, 209, 0, 73, 1944, 0, 17]
    assert found.seq_lengths is not None
    assert found.seq_lengths.tolist() == [5, 3, 1]
    inner = [stub, {**reader, "sequence_fields": ["cut"]}]
    group = {"sequence_name": "s", "sequence_length": 50, "features": inner}
    found = _values([group], {"s__t": ["abc efg hij;hij"]}, "s__f")
    assert found.values.tolist() == [19758, 299, 16054, 209, 0, 73, 1944, 0]
    assert found.key_lengths is not None
    assert found.key_lengths.tolist() == [5, 3]


@pytest.mark.parametrize(
    ("pattern", "replacement", "text", "expected"),
    [
        ("x*", "-", "abxd", "-a-b-d-"),
        ("", "-", "中a", "-中-a-"),
        ("a(b)?", r"[\1]", "a ab", "[] [b]"),
        ("b", r"\0\\\0", "abc", "ab\\bc"),
        ("^", ">", "a\nb", ">a\nb"),
    ],
)
def test_matches_as_re2_replaces_them(
    pattern: str, replacement: str, text: str, expected: str
) -> None:
    assert prepare((ReplaceRegex(pattern, replacement),))(text.encode()) == expected.encode()


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"regex_pattern": []}, r"regex_pattern: .* is not allowed"),
        ({"regex_pattern": ["a", "("]}, r"regex_pattern: '\(' is no regular expression"),
        ({"regex_pattern": None}, r"regex_pattern\.str: null is not allowed"),
        ({"replacement": r"\1"}, "replacement: .*the pattern has 0 groups"),
        ({"replacement": "\\"}, "a backslash stands before a group's number"),
        ({"hash_bucket_size": None}, "none is given; give one of"),
        ({"expression": "const:a"}, "a regex_replace_feature reads a column"),
        ({"regex": "a"}, "regex: unknown key"),
    ],
)
def test_bad_configs(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config({"features": [_regex(**{"hash_bucket_size": 9, **keys})]})


@pytest.mark.parametrize("kind", ["slice_feature", "bm25_feature", "str_replace_feature"])
def test_types_that_no_document_tells(kind: str) -> None:
    with pytest.raises(ConfigError, match=rf"feature_type: '{kind}' is not supported: no document"):
        load_config({"features": [_regex(feature_type=kind)]})
