"""The compiled kernels give what the plain-Python reference gives, on whatever comes in."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtcompile.codegen.features.lower import FeatureStage
from rtcompile.codegen.program.constants import ConstantStore
from rtcompile.codegen.program.program import CallLoop
from rtcompile.errors import DataError
from rtcompile.features import FeatureExtractor, compile_features
from rtcompile.features.config.parse_config import load_config
from rtcompile.features.reference.reference_features import extract

VOCABULARY = ["a", "bb", "", "ünï", "a word of more than sixteen bytes", "longlonglong" * 8]


def _feature(kind: str, name: str, column: str, **keys: Any) -> dict[str, Any]:
    return {"feature_type": kind, "feature_name": name, "expression": f"user:{column}", **keys}


def _id(name: str, column: str = "text", **keys: Any) -> dict[str, Any]:
    return _feature("id_feature", name, column, **keys)


def _raw(name: str, column: str = "number", **keys: Any) -> dict[str, Any]:
    return _feature("raw_feature", name, column, **keys)


CONFIG = {
    "features": [
        _id("hashed", hash_bucket_size=1 << 40, separator=","),
        _id("hashed_default", hash_bucket_size=1000, default_value="x,y", separator=","),
        _id("hashed_two", hash_bucket_size=1000, separator=",", value_dim=2, default_value="x"),
        _id("prefixed", hash_bucket_size=1000, separator=",", need_prefix=True),
        _id("wide_separator", hash_bucket_size=1000, separator=", "),
        _id("integers", num_buckets=100, separator=",", default_value="7"),
        _id("listed", vocab_list=VOCABULARY, separator=",", default_value="bb"),
        _id("coded", vocab_dict={"a": 5, "b": 9}, separator=",", default_value="b"),
        _id("plain", vocab_list=VOCABULARY, separator=",", default_bucketize_value=3),
        _id("weighted", "pairs", hash_bucket_size=1000, separator=",", weighted=True),
        _raw("number", default_value="2.5"),
        _raw("bucket", boundaries=[-1.5, 0.0, 0.1, 3.0, 1e9]),
        _raw("many_buckets", boundaries=[k / 64 - 2 for k in range(300)], default_value="1"),
        _raw("vector", "numbers", value_dim=3, default_value="1,2,3", separator=","),
        _raw("log10", normalizer="method=log10,threshold=0.5,default=-1"),
        _raw("zscore", normalizer="method=zscore,mean=3,standard_deviation=7"),
        _raw("minmax", normalizer="method=minmax,min=-3,max=10"),
        _raw("squashed", normalizer="method=expression,expr=sigmoid(x)+x%3>1 ? -x : tanh(x)^2"),
        _feature(
            "sequence_id_feature",
            "clicks",
            "clicks",
            hash_bucket_size=1000,
            separator=",",
            sequence_delim=";",
            sequence_length=3,
            default_value="none",
        ),
        {
            "sequence_name": "hist",
            "sequence_length": 2,
            "sequence_delim": "|",
            "features": [
                _id("id", "id", num_buckets=50, separator=","),
                _raw("price", "price", value_dim=2, default_value="1", separator=","),
                _raw("step", "price", value_dim=2, boundaries=[0, 1, 2], separator=","),
            ],
        },
    ]
}


@pytest.fixture(scope="module", params=["murmur", "farmhash"])
def extractor(request: pytest.FixtureRequest) -> FeatureExtractor:
    return compile_features(CONFIG, hash=request.param)


def assert_as_reference(extractor: FeatureExtractor, columns: dict[str, list[Any]]) -> None:
    expected, found = extract(extractor.plan, columns), extractor(columns)
    assert list(found) == list(expected)
    for name, want in expected.items():
        got = found[name]
        for part in ("lengths", "key_lengths", "seq_lengths", "weights"):
            one, other = getattr(want, part), getattr(got, part)
            assert (one is None) == (other is None), (name, part)
            if one is not None:
                np.testing.assert_array_equal(other, one, f"{name}.{part}")
        assert got.values.dtype == want.values.dtype
        np.testing.assert_array_equal(got.values, want.values, name)


PIECES = st.one_of(
    st.sampled_from(["", ",", ",,", ", ", " 12 ", "-5", "+7.0", "3.", "9223372036854775807"]),
    st.sampled_from(["9223372036854775808", "-9223372036854775808", "00000000000000000000042"]),
    st.sampled_from([*VOCABULARY, "nan", "inf", "-0", "1e3", ".5", "x:2", "y:", ":3", "a:b:0.5"]),
    st.text(max_size=80),
    st.binary(max_size=80),
)
TEXT = st.lists(PIECES, max_size=4).map(
    lambda parts: b",".join(p if isinstance(p, bytes) else p.encode() for p in parts)
)
SCALARS = st.one_of(
    st.none(),
    st.integers(-(1 << 70), 1 << 70),
    st.floats(width=64),
    st.booleans(),
    TEXT,
    st.text(max_size=40),
)
LISTS = st.one_of(SCALARS, st.lists(SCALARS, max_size=5))
WEIGHTS = st.dictionaries(st.text(max_size=9), st.floats(-10, 10) | st.none(), max_size=4)
DELIMITED = st.lists(TEXT, max_size=4).map(b";".join)
COLUMNS = {
    "text": LISTS,
    "pairs": st.one_of(LISTS, WEIGHTS),
    "number": SCALARS,
    "numbers": LISTS,
    "clicks": st.one_of(SCALARS, DELIMITED, st.lists(LISTS, max_size=5)),
    "hist__id": st.one_of(SCALARS, st.lists(LISTS, max_size=4)),
    "hist__price": st.one_of(SCALARS, st.lists(LISTS, max_size=4)),
}


@pytest.mark.slow
@given(rows=st.lists(st.fixed_dictionaries(COLUMNS), max_size=5))
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
def test_hostile_rows(extractor: FeatureExtractor, rows: list[dict[str, Any]]) -> None:
    assert_as_reference(extractor, {name: [row[name] for row in rows] for name in COLUMNS})


def test_many_rows_cross_the_tiles(extractor: FeatureExtractor) -> None:
    rng = np.random.default_rng(0)
    words = [f"w{i}" * (i % 20) for i in range(97)]

    def text(_: int) -> str:
        return ",".join(rng.choice(words, rng.integers(0, 6)))

    columns: dict[str, list[Any]] = {name: [text(i) for i in range(333)] for name in COLUMNS}
    columns["number"] = rng.normal(size=333).tolist()
    assert_as_reference(extractor, columns)


@pytest.mark.slow
def test_long_values(extractor: FeatureExtractor) -> None:
    columns: dict[str, list[Any]] = {name: ["x" * 10_000_000] for name in COLUMNS}
    columns["clicks"] = ["y;" * 1_000_000]
    assert_as_reference(extractor, columns)


def test_a_column_of_one_row_counts_for_all(extractor: FeatureExtractor) -> None:
    columns: dict[str, list[Any]] = {name: ["1", "2", "3"] for name in COLUMNS}
    columns["text"] = ["a,b"]
    assert extractor(columns)["hashed"].lengths.tolist() == [2, 2, 2]  # type: ignore[union-attr]
    assert_as_reference(extractor, columns)


def test_no_rows(extractor: FeatureExtractor) -> None:
    columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    found = extractor(columns)
    assert found["hashed"].values.shape == (0,)
    assert found["vector"].values.shape == (0, 3)


def test_arrow_columns(extractor: FeatureExtractor) -> None:
    pa = pytest.importorskip("pyarrow")
    arrays = {name: pa.array(["1", None, "3"]) for name in COLUMNS}
    arrays["text"] = pa.array([["a", "b"], None, []])
    arrays["pairs"] = pa.array([[("a", 2.0)], [], None], pa.map_(pa.string(), pa.float32()))
    arrays["number"] = pa.array([1, None, 3])
    plain = {name: array.to_pylist() for name, array in arrays.items()}
    assert_as_reference(extractor, plain)
    table = extractor(pa.table(arrays))
    np.testing.assert_array_equal(table["hashed"].values, extractor(plain)["hashed"].values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"text": None}, "columns text are missing"),
        ({"text": [{"a": 1}]}, "column 'text': dict is not a value"),
        ({"number": [object()]}, "column 'number': object is not a value"),
        ({"number": [1, 2], "text": ["a", "b", "c"]}, "different lengths"),
    ],
)
def test_bad_columns(extractor: FeatureExtractor, change: dict[str, Any], message: str) -> None:
    columns: dict[str, Any] = {name: ["1"] for name in COLUMNS} | change
    given = {name: values for name, values in columns.items() if values is not None}
    with pytest.raises(DataError, match=message):
        extractor(given)


def test_features_of_one_shape_share_a_kernel() -> None:
    lookups = [
        {
            "feature_type": "lookup_feature",
            "feature_name": f"f{i}",
            "map": f"user:m{i}",
            "key": f"item:k{i % 7}",
            "boundaries": [0, i + 1],
            "default_value": str(i),
        }
        for i in range(50)
    ]
    ids = [_id(f"id{i}", f"c{i}", hash_bucket_size=100 + i) for i in range(50)]
    plan = load_config({"features": [*lookups, *ids]})
    stage = FeatureStage("features", ConstantStore())
    for feature in plan.features:
        stage.add_column(feature)
    program = stage.finish()
    assert len(program.kernels) == 4  # lookups, their maps' tables, numbered keys, ids
    loops = [call for call in [*program.prologue, *program.calls] if isinstance(call, CallLoop)]
    assert [loop.count for loop in loops] == [7, 50, 50, 50]
    assert len(program.prologue) == 3


IDS_OF_NUMBERS = {
    "feature_type": "expr_feature",
    "feature_name": "ids",
    "expression": "a * 10",
    "variables": ["user:a"],
    "num_buckets": 100,
    "default_value": "3",
}


def test_a_number_beyond_int64_is_no_id() -> None:
    extractor = compile_features({"features": [IDS_OF_NUMBERS]})
    given = [1.59, 1e30, -math.inf, None, "1e300"]
    assert extractor({"a": given})["ids"].values.tolist() == [15, 3, 3, 3, 3]
    assert extractor.counters()["ids"] == {"defaulted": 4, "unparsed": 3}
    strict = compile_features({"features": [IDS_OF_NUMBERS]}, strict=True)
    with pytest.raises(DataError, match=r"'ids': row 1: 1e\+31 is no 64-bit integer"):
        strict({"a": given})


def test_a_map_without_a_key_is_counted() -> None:
    weighed = {
        "feature_type": "kv_dot_product",
        "feature_name": "dot",
        "query": "user:a",
        "document": "user:b",
        "separator": ",",
    }
    looked_up = {
        "feature_type": "lookup_feature",
        "feature_name": "found",
        "map": "user:a",
        "key": "user:key",
        "need_discrete": False,
    }
    extractor = compile_features({"features": [weighed, looked_up]})
    maps = [{"": 3, "x": 2}, {None: 3}, [("", "7")], {"": None}, ":3"]
    found = extractor({"a": maps, "b": [{"x": 2}] * 5, "key": ["y"] * 5})
    assert found["dot"].values.ravel().tolist() == [4, 0, 0, 0, 0]
    counted = {name: counts["unparsed"] for name, counts in extractor.counters().items()}
    assert counted == {"dot": 4, "found": 4}
