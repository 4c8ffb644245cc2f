"""The compiled operators give what the plain-Python reference gives, on whatever comes in."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtcompile.features import FeatureExtractor, compile_features
from rtcompile.features.operators import Expr, KvDotProduct, Values
from rtcompile.features.plan import Feature
from rtcompile.features.reference.reference_counts import counts
from rtcompile.features.reference.reference_features import extract
from rtcompile.features.types.overlap_feature import METHODS

# What all of them share takes half a minute to compile.
pytestmark = pytest.mark.slow


def _feature(kind: str, name: str, **keys: Any) -> dict[str, Any]:
    return {"feature_type": kind, "feature_name": name, **keys}


LOOKUP = {"map": "user:map", "key": "item:keys", "separator": ","}
MATCH = {"user": "user:nested", "category": "item:key", "item": "item:keys", "separator": ","}
COMBINERS = ("sum", "mean", "min", "max", "count", "gap_min", "gap_max")
VECTORS = (
    *("len(a)", "l2_norm(a)", "squared_norm(a)", "std_dev(a)", "pop_std_dev(a)", "variance(a)"),
    *("pop_variance(a)", "reduce_min(a)", "reduce_max(a)", "reduce_sum(a)", "reduce_mean(a)"),
    *("reduce_prod(a)", "dot(a,b)", "euclid_dist(a,b)", "corr(a,b)", "dot(a,b)/len(a)+a"),
)
SCALARS = (
    "a+b*2-c",
    "a>b&&b>=c||a!=c ? a : b^2",
    "(a|b)&3",
    "min(a,b,c)+max(a,b)-avg(a,b,c)+sum(a,b)",
    "roundp(a,2)+mod(b,3)+sign(c)+abs(a)",
    "sphere_dist(a,b,c,a)+haversine(a,b,c,b)",
    "sigmoid(a)+atanh(b)-acosh(c)+log2(a)+floor(b)+rint(c)+trunc(a)+round(b)",
)

FEATURES: list[dict[str, Any]] = [
    _feature(
        "combo_feature",
        "combo",
        expression=["user:key", "item:keys", "const:x"],
        hash_bucket_size=1000,
        separator=",",
        default_value="none",
    ),
    _feature(
        "combo_feature",
        "combo_two",
        expression=["user:keys", "item:keys"],
        vocab_list=["a_a", "a_b", "b_a"],
        separator=",",
        value_dim=2,
    ),
    *[
        _feature("lookup_feature", f"lookup_{c}", **LOOKUP, combiner=c, default_value="7")
        for c in COMBINERS
    ],
    _feature("lookup_feature", "each", **LOOKUP, combiner="", boundaries=[0, 1, 2.5]),
    _feature("lookup_feature", "pair", **LOOKUP, combiner="", value_dim=2, default_value="1,2"),
    # Numbers that are to be ids, and may be beyond int64.
    _feature("lookup_feature", "ids", **LOOKUP, combiner="", num_buckets=50, default_value="1"),
    _feature(
        "lookup_feature",
        "two_ids",
        **LOOKUP,
        combiner="",
        num_buckets=50,
        value_dim=2,
        default_value="1,2",
    ),
    _feature(
        "expr_feature",
        "computed_id",
        expression="a * 1e18",
        variables=["user:a"],
        num_buckets=10,
        default_value="2",
    ),
    _feature(
        "combo_feature",
        "combo_prefixed",
        expression=["user:keys", "item:keys"],
        hash_bucket_size=1000,
        separator=",",
        need_prefix=True,
    ),
    _feature("lookup_feature", "text", **LOOKUP, need_discrete=True, hash_bucket_size=1000),
    _feature("lookup_feature", "keyed", **LOOKUP, needKey=True, hash_bucket_size=1000),
    _feature("match_feature", "match", **MATCH, default_value="3"),
    _feature("match_feature", "shown", **MATCH, show_category=True, hash_bucket_size=1000),
    _feature(
        "match_feature",
        "wild",
        **MATCH,
        matchType="multihit",
        show_item=True,
        hash_bucket_size=1000,
    ),
    _feature(
        "match_feature",
        "wild_sum",
        **{**MATCH, "category": "ALL"},
        matchType="multihit",
        combiner="sum",
        boundaries=[0, 5],
    ),
    _feature(
        "match_feature",
        "first_only",
        **{**MATCH, "category": "ALL"},
        num_buckets=10,
        needDiscrete=True,
        show_category=False,
        show_item=False,
        default_value="1",
    ),
    _feature("match_feature", "both", **MATCH, needDiscrete=True, hash_bucket_size=1000),
    _feature(
        "match_feature",
        "second",
        **MATCH,
        need_discrete=True,
        show_pkey=False,
        vocab_list=["a_5", "b_6"],
    ),
    *[
        _feature(
            "overlap_feature", m, query="user:keys", title="item:keys", method=m, separator=","
        )
        for m in METHODS
    ],
    _feature("combine_feature", "combine", expression="user:keys", separator=",", combiner="mean"),
    _feature(
        "combine_feature",
        "mapped",
        expression="user:keys",
        separator=",",
        combiner="sum",
        value_map={"a": 1.5, "b": 2, "": 9},
        num_buckets=10,
    ),
    _feature("kv_dot_product", "dot", query="user:map", document="item:weights", separator=","),
    _feature(
        "kv_dot_product",
        "dot_default",
        query="user:weights",
        document="item:weights",
        separator=",",
        default_value="0.25",
        boundaries=[0.1, 1],
    ),
    _feature(
        "bool_mask_feature",
        "masked",
        expression=["user:keys", "item:mask"],
        separator=",",
        hash_bucket_size=1000,
        default_value="d",
    ),
    *[
        _feature(
            "expr_feature",
            f"scalar_{i}",
            expression=text,
            separator=",",
            variables=["user:a", "item:b", "context:c"],
            default_value="0.5",
            normalizer="method=expression,expr=x*2" if i % 2 else None,
        )
        for i, text in enumerate(SCALARS)
    ],
    _feature(
        "expr_feature",
        "many",
        expression="a-b",
        separator=",",
        boundaries=[-1, 0, 1],
        variables=["user:a", "item:b"],
        default_value="",
    ),
    *[
        _feature(
            "expr_feature",
            f"vector_{i}",
            expression=text,
            separator=",",
            variables=["user:a", "item:b"],
            default_value="0.5",
        )
        for i, text in enumerate(VECTORS)
    ],
    _feature(
        "lookup_feature", "inner", **LOOKUP, need_discrete=True, stub_type=True, default_value="5;6"
    ),
    _feature(
        "raw_feature",
        "outer",
        expression="feature:inner",
        separator=";",
        value_dim=2,
        default_value="1",
    ),
    _feature(
        "id_feature", "outer_ids", expression="feature:inner", separator=";", hash_bucket_size=1000
    ),
    # Features that read ids, numbers and texts of others.
    _feature("expr_feature", "computed", expression="a/3", variables=["user:a"], separator=","),
    _feature(
        "raw_feature",
        "binned",
        expression="user:b",
        separator=",",
        boundaries=[-1, 0, 2.5],
        value_dim=2,
    ),
    _feature(
        "lookup_feature",
        "by_bin",
        map="user:map",
        key="feature:binned",
        separator=",",
        default_value="4",
    ),
    _feature(
        "combo_feature",
        "of_all",
        expression=["feature:binned", "feature:computed", "feature:combo_two", "user:key"],
        hash_bucket_size=1000,
        separator=",",
    ),
    _feature(
        "expr_feature",
        "over_features",
        expression="computed*2+len(binned)-b",
        variables=["feature:computed", "feature:binned", "item:b"],
        separator=",",
        default_value="0.5",
    ),
    _feature("combine_feature", "bins", expression="feature:binned", combiner="sum", separator=","),
    _feature(
        "combine_feature",
        "mapped_bins",
        expression="feature:binned",
        combiner="sum",
        value_map={"1": 5, "2": 7},
        separator=",",
    ),
    {
        "sequence_name": "s",
        "sequence_length": 3,
        "sequence_delim": ";",
        "features": [
            _feature("lookup_feature", "lookup", **LOOKUP, combiner="sum", default_value="7"),
            _feature(
                "combo_feature",
                "combo",
                expression=["user:key", "item:keys"],
                hash_bucket_size=1000,
                separator=",",
                default_value="none",
            ),
            _feature(
                "expr_feature",
                "expr",
                expression="a-b",
                variables=["user:a", "item:b"],
                separator=",",
                default_value="1",
            ),
            _feature(
                "combine_feature",
                "combine",
                expression="user:keys",
                separator=",",
                combiner="max",
                default_value="0",
            ),
        ],
    },
]
# Plain features that read all elements of a sequence, and an element's feature that reads another.
FEATURES[-1]["features"].append(
    _feature(
        "id_feature",
        "id",
        expression="user:keys",
        separator=",",
        num_buckets=50,
        default_value="3",
        stub_type=True,
    )
)
FEATURES[-1]["features"].append(
    _feature(
        "combo_feature",
        "of_element",
        expression=["feature:id", "user:key"],
        hash_bucket_size=1000,
        separator=",",
    )
)
FEATURES += [
    _feature(
        "combo_feature",
        "of_elements",
        expression=["feature:s__id", "user:key"],
        hash_bucket_size=1000,
        separator=",",
    ),
    _feature(
        "expr_feature",
        "total",
        expression="reduce_sum(s__combine)",
        variables=["feature:s__combine"],
        separator=",",
    ),
]
for item in FEATURES:
    if item.get("normalizer", 0) is None:
        del item["normalizer"]


@pytest.fixture(scope="module")
def extractor() -> FeatureExtractor:
    return compile_features({"features": FEATURES})


WORDS = st.sampled_from(["a", "b", "c", "ab", "ALL", "", " ", "ünï", "x" * 40])
NUMBERS = st.one_of(
    st.sampled_from(["1", "-2.5", "1e3", "nan", "inf", "-infinity", "0x1", "1e", "", ".5", "5.e1"]),
    st.sampled_from(["1e400", "-1e-400", "123456789012345678901234567890", "9007199254740993"]),
    st.sampled_from(["0.1e22", "2.2250738585072011e-308", " 7 ", "+3", "--3", "1_0", "4.9e-324"]),
    st.floats().map(repr),
    st.integers(-(10**25), 10**25).map(str),
)
TOKENS = st.one_of(WORDS, NUMBERS)


def _joined(parts: Any, separator: str, most: int = 5) -> Any:
    return st.lists(parts, max_size=most).map(separator.join)


PAIRS = st.tuples(WORDS, TOKENS).map(":".join)
MAPS = st.one_of(
    st.none(),
    _joined(st.one_of(PAIRS, WORDS), "\x1d"),
    st.dictionaries(WORDS, st.one_of(NUMBERS, st.floats(-1e9, 1e9), st.none()), max_size=5),
    st.lists(st.tuples(WORDS, NUMBERS), max_size=5),
    st.binary(max_size=30),
)
INNER = _joined(st.one_of(PAIRS, WORDS), ",", 4)
NESTED = st.one_of(
    st.none(),
    _joined(st.one_of(st.tuples(WORDS, INNER).map("^".join), WORDS), "|"),
    st.dictionaries(WORDS, INNER, max_size=3),
)
TEXTS = st.one_of(st.none(), _joined(TOKENS, ","), st.lists(st.one_of(TOKENS, st.none())))
WEIGHTS = st.one_of(
    st.none(),
    _joined(st.one_of(PAIRS, WORDS), ","),
    st.dictionaries(WORDS, st.floats(-100, 100), max_size=5),
)
VALUES = st.one_of(
    st.none(), st.floats(), st.integers(-5, 5), _joined(NUMBERS, ","), st.lists(st.floats(-9, 9))
)
MASKS = st.one_of(TEXTS, _joined(st.sampled_from(["true", "FALSE", "1", "0", "", "x"]), ","))
ELEMENTS = st.one_of(st.none(), _joined(_joined(TOKENS, ","), ";"), st.lists(TEXTS, max_size=4))
COLUMNS = {
    "map": MAPS,
    "nested": NESTED,
    "key": WORDS,
    "keys": TEXTS,
    "weights": WEIGHTS,
    "mask": MASKS,
    "a": VALUES,
    "b": VALUES,
    "c": VALUES,
    "s__keys": ELEMENTS,
    "s__b": ELEMENTS,
}


# Whose values are counted where a column is encoded: once, if all rows share it.
ENCODED = (Values, Expr, KvDotProduct)


def _is_encoded(feature: Feature) -> bool:
    inner = [read for read in feature.inputs if isinstance(read, Feature)]
    return isinstance(feature.operator, ENCODED) or any(map(_is_encoded, inner))


def _compare(extractor: FeatureExtractor, columns: dict[str, list[Any]]) -> None:
    before, expected = extractor.counters(), extract(extractor.plan, columns)
    found = extractor(columns)
    rows = max(map(len, columns.values()))
    whole = {name: values * (rows // len(values)) for name, values in columns.items()}
    counted, now = counts(extractor.plan, whole), extractor.counters()
    for feature in extractor.plan.features:
        kinds = ["defaulted"]
        if whole == columns or not _is_encoded(feature):
            kinds.append("unparsed")
        for kind in kinds:
            more = now[feature.name][kind] - before[feature.name][kind]
            assert more == counted[feature.name][kind], (feature.name, kind, columns)
    for name, want in expected.items():
        got = found[name]
        for part in ("lengths", "key_lengths", "seq_lengths"):
            np.testing.assert_array_equal(
                np.asarray(getattr(got, part)), np.asarray(getattr(want, part)), f"{name}.{part}"
            )
        if got.values.dtype == np.int64:
            np.testing.assert_array_equal(got.values, want.values, name)
        else:
            # Sums may be fused differently in the last bit of float64.
            np.testing.assert_allclose(got.values, want.values, 1e-6, 1e-30, err_msg=name)


@given(rows=st.lists(st.fixed_dictionaries(COLUMNS), min_size=1, max_size=4))
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
def test_hostile_rows(extractor: FeatureExtractor, rows: list[dict[str, Any]]) -> None:
    with np.errstate(all="ignore"):
        _compare(extractor, {name: [row[name] for row in rows] for name in COLUMNS})


USERS = {name: COLUMNS[name] for name in ("map", "nested", "key", "a")}
ITEMS = {name: COLUMNS[name] for name in COLUMNS if name not in USERS}


@given(
    user=st.fixed_dictionaries(USERS),
    rows=st.lists(st.fixed_dictionaries(ITEMS), min_size=2, max_size=6),
)
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
def test_hostile_users_of_several_rows(
    extractor: FeatureExtractor, user: dict[str, Any], rows: list[dict[str, Any]]
) -> None:
    """Maps that all rows share are probed, not walked."""
    columns = {name: [row[name] for row in rows] for name in ITEMS}
    with np.errstate(all="ignore"):
        _compare(extractor, {**columns, **{name: [value] for name, value in user.items()}})


SINGLE = {**ITEMS, "keys": st.one_of(st.none(), WORDS)}


@given(
    user=st.fixed_dictionaries(USERS),
    rows=st.lists(st.fixed_dictionaries(SINGLE), min_size=2, max_size=6),
)
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
def test_hostile_users_of_rows_with_a_key(
    extractor: FeatureExtractor, user: dict[str, Any], rows: list[dict[str, Any]]
) -> None:
    """Keys, at most one a row, are numbered, and maps that all rows share joined with them."""
    columns = {name: [row[name] for row in rows] for name in SINGLE}
    with np.errstate(all="ignore"):
        _compare(extractor, {**columns, **{name: [value] for name, value in user.items()}})


@pytest.mark.parametrize("several", [False, True])
def test_look_ups_of_many_rows(several: bool) -> None:
    """More than a tile; with `several`, one row has two keys, and none is numbered."""
    rng, rows = np.random.default_rng(3), 150
    words = [f"k{i}" * (1 + i % 9) for i in range(40)]

    def pairs(separator: str) -> str:
        return separator.join(f"{rng.choice(words)}:{rng.normal():.3f}" for _ in range(30))

    columns: dict[str, list[Any]] = {
        "map": [pairs("\x1d")],
        "nested": ["|".join(f"{rng.choice(words)}^{pairs(',')}" for _ in range(30))],
        "one": rng.choice(words, rows).tolist(),
        "other": [None, *rng.choice(words, rows - 1).tolist()],
    }
    if several:
        columns["one"][77] = f"{words[0]},{words[1]}"
    bins: list[dict[str, Any]] = [{}, {"boundaries": [-1, 0, 0.5]}, {"combiner": "count"}]
    bins += [{"needDiscrete": True, "hash_bucket_size": 1000}]
    look_up = {"map": "user:map", "key": "item:one", "separator": ","}
    match = {"user": "user:nested", "category": "item:one", "item": "item:other", "separator": ","}
    features = [_feature("lookup_feature", f"l{k}", **look_up, **b) for k, b in enumerate(bins)]
    features += [_feature("match_feature", f"m{k}", **match, **b) for k, b in enumerate(bins)]
    _compare(compile_features({"features": features}), columns)


@pytest.fixture(scope="module")
def parser() -> FeatureExtractor:
    texts = {"map": "user:map", "key": "user:key", "default_value": "-7"}
    return compile_features({"features": [_feature("lookup_feature", "x", **texts)]})


@given(
    numbers=st.lists(
        st.one_of(
            NUMBERS,
            st.floats().map(lambda x: f"{x:.17g}"),
            st.integers(0, (1 << 64) - 1).map(
                lambda bits: f"{struct.unpack('<d', struct.pack('<Q', bits))[0]:.25e}"
            ),
            st.text("0123456789+-.eE ", max_size=30),
        ),
        min_size=1,
        max_size=20,
    )
)
@settings(max_examples=300, deadline=None)
def test_numbers_are_parsed_as_python_parses_them(
    parser: FeatureExtractor, numbers: list[str]
) -> None:
    columns = {"map": [f"k:{text}" for text in numbers], "key": ["k"] * len(numbers)}
    with np.errstate(all="ignore"):
        want = extract(parser.plan, columns)["x"].values
    np.testing.assert_array_equal(parser(columns)["x"].values, want)


def test_a_plain_feature_reads_all_elements_of_a_sequence() -> None:
    """The ids are those that the peer's generator gives."""
    group = {
        "sequence_name": "click_seq",
        "sequence_length": 50,
        "sequence_delim": ";",
        "features": [
            _feature("id_feature", "stub", expression="item:a", stub_type=True, default_value="0")
        ],
    }
    expression = ["feature:click_seq__stub", "item:a"]
    combo = _feature("combo_feature", "f", expression=expression, hash_bucket_size=100)
    columns = {"click_seq__a": ["10;11;12", "13", ""], "a": [1, 2, 3]}
    column = compile_features({"features": [group, combo]})(columns)["f"]
    assert column.values.tolist() == [93, 23, 25, 38, 12]
