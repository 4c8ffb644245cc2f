"""Text on the host: normalizers, tokenizers, regular expressions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtcompile.errors import ConfigError
from rtcompile.features import compile_features
from rtcompile.features.config.parse_config import load_config
from rtcompile.features.reference.reference_features import extract
from rtcompile.runtime.encoding import text_steps
from rtcompile.runtime.encoding.column_spec import ColumnSpec, read_specs
from rtcompile.runtime.encoding.text_steps import (
    MissingLibraryError,
    NormalizeText,
    ReplaceRegex,
    prepare,
)
from tests.conformance.cases import FOLDER

BPE = {"vocab_file": "data/test/tokenizer.json"}
PIECES = {"vocab_file": "data/test/spiece.model", "tokenizer_type": "sentencepiece"}


def _tokenize(**keys: Any) -> dict[str, Any]:
    given = {"expression": "user:text", **BPE, **keys}
    return {"feature_type": "tokenize_feature", "feature_name": "f", **given}


def _normalizer(**keys: Any) -> dict[str, Any]:
    given = {"expression": "user:text", "stub_type": True, **keys}
    return {"feature_type": "text_normalizer", "feature_name": "norm", **given}


def _run(features: list[dict[str, Any]], columns: dict[str, list[Any]]) -> Any:
    extractor = compile_features({"features": features}, FOLDER)
    found, want = extractor(columns)["f"], extract(extractor.plan, columns)["f"]
    for part in ("values", "lengths", "key_lengths", "seq_lengths"):
        got, expected = getattr(found, part), getattr(want, part)
        assert (got is None) == (expected is None), part
        if got is not None:
            np.testing.assert_array_equal(got, expected, part)
    return found


# The expected ids are those that the peer's generator gives.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("keys", "values", "lengths"),
    [
        ({"default_value": ""}, [19758, 299, 16054, 73, 1944], [3, 0, 2]),
        ({"default_value": "xyz"}, [19758, 299, 16054, 35609, 73, 1944], [3, 1, 2]),
        (PIECES, [703, 75, 3, 15, 89, 122, 7102, 354], [6, 0, 2]),
        (
            {**PIECES, "default_value": "xyz"},
            [703, 75, 3, 15, 89, 122, 3, 226, 63, 172, 7102, 354],
            [6, 4, 2],
        ),
    ],
)
def test_tokens_of_the_peer(keys: dict[str, Any], values: list[int], lengths: list[int]) -> None:
    column = _run([_tokenize(**keys)], {"text": ["abc efg", "", "hij"]})
    assert column.values.tolist() == values
    assert column.lengths.tolist() == lengths


def test_tokens_as_a_sequence() -> None:
    feature = _tokenize(tokens_as_sequence=True, sequence_length=2, default_value="xyz")
    column = _run([feature], {"text": ["abc efg", None, "hij"]})
    assert column.values.tolist() == [19758, 299, 35609, 73, 1944]
    assert column.key_lengths.tolist() == [1, 1, 1, 1, 1]
    assert column.seq_lengths.tolist() == [2, 1, 2]


def test_a_list_is_tokenized_text_by_text() -> None:
    column = _run([_tokenize()], {"text": [["abc efg", "hij"], [], ["", None, 17]]})
    assert column.lengths.tolist() == [5, 0, 1]


def test_hostile_text() -> None:
    texts = [b"\xff\xfe", "a" * 10_000, "\x00", b"\xe8\xa3", "  ", 3.5, float("nan"), "\U0010ffff"]
    features = [_normalizer(), _tokenize(expression="feature:norm")]
    assert len(_run(features, {"text": texts}).lengths) == len(texts)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("keys", "text", "expected"),
    [
        ({"parameter": 2}, "aBc1é", "ABC1É"),
        ({"parameter": 4}, "aBc1É", "abc1é"),
        ({"parameter": 8}, "ＡＢ１！　x", "AB1! x"),
        ({"parameter": 16}, "電腦軟體", "电脑软体"),
        ({"parameter": 32}, "a,b。c★d", "a b c d"),
        ({"parameter": 512}, "ab中文c", "ab 中 文 c"),
        ({"parameter": 0, "remove_space": True}, "a b\tc", "abc"),
        ({}, "ａ，電b c", "A 电B C"),
        ({"max_length": 3}, "abcd", "abcd"),
        ({"max_length": 4}, "abcd", "ABCD"),
        ({"max_length": 4}, "ab中", "AB中"),
        ({"max_length": 3}, "ab中", "ab中"),
    ],
)
def test_normalizers(keys: dict[str, Any], text: str, expected: str) -> None:
    vocabulary = {"vocab_dict": {expected: 1}, "default_bucketize_value": 0}
    reader = {"feature_type": "id_feature", "feature_name": "f", "expression": "feature:norm"}
    column = _run([_normalizer(**keys), reader | vocabulary], {"text": [text, None]})
    assert column.values.tolist() == [1]
    assert column.lengths.tolist() == [1, 0]


def test_stop_characters_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "stops").write_text("x\ny\n中\n", encoding="gbk")
    norm = _normalizer(parameter=32, stop_char_file="stops")
    reader = {"feature_type": "id_feature", "feature_name": "f", "expression": "feature:norm"}
    feature = reader | {"vocab_dict": {" a, b ": 2}, "default_bucketize_value": 0}
    extractor = compile_features({"features": [norm, feature]}, tmp_path)
    assert extractor({"text": ["xa,yb中", "a"]})["f"].values.tolist() == [2, 0]


@pytest.mark.parametrize(
    ("encoding", "message"), [("utf-8", "is UTF-8; GBK"), ("utf-16", "not GBK")]
)
def test_stop_characters_are_gbk(tmp_path: Path, encoding: str, message: str) -> None:
    (tmp_path / "stops").write_text("中\n★\n", encoding=encoding)
    with pytest.raises(ConfigError, match=rf"stop_char_file: .*{message}"):
        load_config({"features": [_normalizer(parameter=32, stop_char_file="stops")]}, tmp_path)


def test_a_normalized_text_is_read_by_any_feature() -> None:
    norm = _normalizer(parameter=4)
    overlap = {
        "feature_type": "overlap_feature",
        "feature_name": "f",
        "query": "feature:norm",
        "title": "item:title",
        "method": "query_common_ratio",
        "separator": " ",
    }
    column = _run([norm, overlap], {"text": ["A b C d"], "title": ["a b", "d"]})
    assert column.values.tolist() == [[0.5], [0.25]]


def test_a_grouped_sequence_of_normalized_texts() -> None:
    group = {
        "sequence_name": "s",
        "sequence_length": 4,
        "sequence_delim": ";",
        "features": [
            _normalizer(parameter=4),
            _tokenize(expression="feature:norm", default_value="0", sequence_fields=["norm"]),
        ],
    }
    extractor = compile_features({"features": [group]}, FOLDER)
    column = extractor({"s__text": ["ABC efg;hij", "", "HIJ"]})["s__f"]
    assert column.values.tolist() == [19758, 299, 16054, 73, 1944, 17, 73, 1944]
    assert column.key_lengths is not None
    assert column.key_lengths.tolist() == [3, 2, 1, 2]


def _replace(**keys: Any) -> dict[str, Any]:
    return {
        "feature_type": "custom_feature",
        "feature_name": "f",
        "operator_name": "RegexReplace",
        "expression": ["user:text"],
        "regex_pattern": r"(\d)\d*",
        "replacement": r"<\1>",
        **keys,
    }


@pytest.mark.slow
def test_regular_expressions() -> None:
    feature = _replace(vocab_list=["a<1>b<4>", "<7>"], default_value="", separator=",")
    column = _run([feature], {"text": ["a123b45", "777,8", b"\xff", None]})
    assert column.values.tolist() == [2, 3, 1, 1]
    stub = _replace(stub_type=True, regex_pattern="[^0-9]", replacement="")
    stub["feature_name"] = "digits"
    feature = _replace(regex_pattern="px", replacement="", boundaries=[1, 10])
    assert _run([feature], {"text": ["5px", "12px", None]}).values.tolist() == [1, 2]
    number = {"feature_type": "raw_feature", "feature_name": "f", "expression": "feature:digits"}
    assert _run([stub, number], {"text": ["1a2", "b"]}).values.tolist() == [[12.0], [0.0]]


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ([_tokenize(vocab_file="none")], r"features\[0\].vocab_file: .*none: No such file"),
        ([_tokenize(vocab_file="cases.json")], "not a tokenizer"),
        ([_tokenize(vocab_file="cases.json", tokenizer_type="sentencepiece")], "not a sentence"),
        ([_tokenize(tokenizer_type="wordpiece")], "input should be 'bpe' or 'sentencepiece'"),
        ([_tokenize(output_type="word")], "'word' is not supported; use word_id"),
        ([_tokenize(expression="const:a")], "reads a column or a text_normalizer"),
        ([_normalizer(parameter=6)], "6: 2, to upper case, and 4, to lower, exclude each other"),
        ([_normalizer(parameter=1)], "1 has the unknown bits 1"),
        ([_normalizer(is_gbk_input=True)], "true is not supported; texts are UTF-8"),
        ([_normalizer(stub_type=False)], "a normalized text is no output"),
        ([_normalizer(stop_char_file="none")], "none: No such file"),
        ([_replace(regex_pattern="(")], "'\\(' is no regular expression: missing \\)"),
        ([_replace(replacement=r"\2")], "the pattern has 1 groups"),
        ([_replace(regex_pattern=None)], "regex_pattern: required, but missing"),
        ([_replace(pattern="a")], "RegexReplace has no such key; its own are: regex_pattern"),
        ([_replace(hash_bucket_size=9, expression=["user:a", "user:b"])], "takes one"),
    ],
)
def test_bad_configs(features: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config({"features": features}, FOLDER)


@pytest.mark.parametrize("step", [NormalizeText(simplified=True), ReplaceRegex("a", "b")])
def test_a_missing_library_is_named(step: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(text_steps.importlib, "import_module", missing)
    prepare.cache_clear()
    spec = ColumnSpec("a", "text", b",", steps=(step,)).to_json()
    with pytest.raises(MissingLibraryError, match=r"pip install 'rtcompile\[text\]'"):
        read_specs([spec], {})
