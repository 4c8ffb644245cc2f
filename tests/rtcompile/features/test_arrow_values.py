"""Columns of Arrow, polars, pandas and DuckDB as features: exact, or refused by name."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow
import pyarrow.compute
import pytest

from rtcompile.errors import DataError
from rtcompile.features import FeatureExtractor, compile_features

N = None

pytestmark = pytest.mark.slow  # the extractor


@pytest.fixture(scope="module")
def extractor() -> FeatureExtractor:
    return compile_features(
        {
            "features": [
                {"feature_type": "raw_feature", "feature_name": "p", "expression": "item:p",
                 "default_value": "-1"},
                {"feature_type": "id_feature", "feature_name": "i", "expression": "item:p",
                 "hash_bucket_size": 1000, "default_value": ""},
                {"feature_type": "id_feature", "feature_name": "w", "expression": "item:w",
                 "hash_bucket_size": 1000, "weighted": True},
                {"feature_type": "lookup_feature", "feature_name": "l", "map": "item:w",
                 "key": "const:a", "default_value": "-1"},
            ]
        }
    )  # fmt: skip


def _read(extractor: FeatureExtractor, p: Any, w: Any = None) -> dict[str, list[Any]]:
    found = extractor({"p": p, "w": [None] * len(p) if w is None else w})
    columns: dict[str, list[Any]] = {"p": found["p"].values.ravel().tolist()}
    for name in ("i", "w"):
        parts = np.split(found[name].values, np.cumsum(found[name].lengths)[:-1])
        columns[name] = [part.tolist() for part in parts]
    weights = found["w"].weights
    assert weights is not None
    columns["weights"] = weights.tolist()
    columns["l"] = found["l"].values.ravel().tolist()
    return columns


NUMBERS = [
    (pyarrow.int8(), [1, N, -3]),
    (pyarrow.uint64(), [2**64 - 1, N, 3]),
    (pyarrow.float16(), [0.5, N, 3.0]),
    (pyarrow.float32(), [0.5, N, 3.0]),
    (pyarrow.float64(), [0.1, N, 3.0]),
    (pyarrow.bool_(), [True, N, False]),
    (pyarrow.decimal128(5, 2), [Decimal("1.50"), N, Decimal("3.00")]),
    (pyarrow.decimal256(50, 0), [Decimal(10**40), N, Decimal(3)]),
    (pyarrow.string(), ["1.5", N, "3"]),
    (pyarrow.large_string(), ["1.5", N, "3"]),
    (pyarrow.binary(), [b"1.5", N, b"3"]),
    (pyarrow.null(), [N, N, N]),
    (pyarrow.dictionary(pyarrow.int8(), pyarrow.string()), ["1.5", N, "1.5"]),
    (pyarrow.list_(pyarrow.int64()), [[1], N, [3]]),
]


@pytest.mark.parametrize(("kind", "values"), NUMBERS, ids=str)
def test_types_are_read_as_their_values(
    extractor: FeatureExtractor, kind: Any, values: list[Any]
) -> None:
    plain = [
        v if not isinstance(v, Decimal) else float(v) if v == Decimal("1.5") else int(v)
        for v in values
    ]
    wanted = _read(extractor, plain)
    array = pyarrow.array(values, kind)
    assert _read(extractor, array) == wanted
    chunked = pyarrow.chunked_array([array.slice(0, 1), array.slice(1)], kind)
    assert _read(extractor, chunked) == wanted
    assert _read(extractor, pyarrow.concat_arrays([array, array]).slice(3)) == wanted


def test_views_and_run_ends(extractor: FeatureExtractor) -> None:
    values = ["1.5", N, "3", "3"]
    wanted = _read(extractor, values)
    assert _read(extractor, pyarrow.compute.run_end_encode(pyarrow.array(values))) == wanted
    if hasattr(pyarrow, "string_view"):
        assert _read(extractor, pyarrow.array(values, pyarrow.string_view())) == wanted


@pytest.mark.skipif(not hasattr(pyarrow, "string_view"), reason="an Arrow without views")
def test_categories_and_run_ends_of_views(extractor: FeatureExtractor) -> None:
    words = pyarrow.array(["1.5", N, "3"], pyarrow.string_view())
    indices = pyarrow.array([0, N, 2, 1, 0], pyarrow.int8())
    wanted = _read(extractor, ["1.5", N, "3", N, "1.5"])
    categories = pyarrow.DictionaryArray.from_arrays(indices, words)
    assert _read(extractor, categories) == wanted
    assert _read(extractor, pyarrow.chunked_array([categories[:2], categories[2:]])) == wanted
    runs = pyarrow.RunEndEncodedArray.from_arrays(pyarrow.array([2, 3, 5]), words)
    assert _read(extractor, runs.slice(1)) == _read(extractor, ["1.5", N, "3", "3"])
    polars = pytest.importorskip("polars")
    for kind in (polars.Categorical, polars.Enum(["1.5", "3"])):
        series = polars.Series(["1.5", N, "3", N, "1.5"], dtype=kind)
        assert _read(extractor, series) == wanted


def test_objects_of_polars_are_what_they_are(extractor: FeatureExtractor) -> None:
    """Arrow would have their addresses."""
    polars = pytest.importorskip("polars")
    texts = polars.Series("p", ["1.5", "3"], dtype=polars.Object)
    assert _read(extractor, texts) == _read(extractor, ["1.5", "3"])
    frame = polars.DataFrame({"p": [object()], "w": [N]}, schema={"p": polars.Object, "w": None})
    with pytest.raises(DataError, match="column 'p': object is not a value"):
        extractor(frame)


def test_texts_that_are_no_utf_8_are_bytes(extractor: FeatureExtractor) -> None:
    raw = pyarrow.array([b"\xff1", N])
    text = pyarrow.StringArray.from_buffers(2, raw.buffers()[1], raw.buffers()[2], raw.buffers()[0])
    assert _read(extractor, text)["i"] == _read(extractor, [b"\xff1", N])["i"]


MAPS = [{"a": 0.5, "b": 2.0}, {"c": 3.0}, {}, N, {"a": N, "b": 1.0}]


def _without_none(row: dict[str, float | None] | None) -> dict[str, float] | None:
    return row and {k: v for k, v in row.items() if v is not None}


def test_maps_of_every_form_have_the_keys_with_values(extractor: FeatureExtractor) -> None:
    rows = len(MAPS)
    wanted = _read(extractor, [1] * rows, list(map(_without_none, MAPS)))
    assert list(map(len, wanted["w"])) == [2, 1, 0, 0, 1]
    pairs = [list((row or {}).items()) for row in MAPS]
    entries = [[{"key": k, "value": v} for k, v in (row or {}).items()] for row in MAPS]
    decimals = [row and {k: v and Decimal(str(v)) for k, v in row.items()} for row in MAPS]
    text, real = pyarrow.string(), pyarrow.float64()
    kinds = [
        pyarrow.array(MAPS),
        pyarrow.array(pairs, pyarrow.map_(text, real)),
        pyarrow.array(entries, pyarrow.list_(pyarrow.struct({"key": text, "value": real}))),
        pyarrow.array(decimals, pyarrow.struct(dict.fromkeys("abc", pyarrow.decimal128(9, 3)))),
    ]
    for column in kinds:
        assert _read(extractor, [1] * rows, column) == wanted, column.type
        assert _read(extractor, [1] * rows, column.to_pylist()) == wanted, column.type


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        (pyarrow.date32(), datetime.date(2024, 1, 1), r"column 'p': date32\[day\] is not a value"),
        (pyarrow.timestamp("us"), datetime.datetime(2024, 1, 1), r"timestamp\[us\] is not a value"),
        (pyarrow.time64("us"), datetime.time(1), "time64"),
        (pyarrow.duration("s"), datetime.timedelta(1), "duration"),
        (pyarrow.list_(pyarrow.date32()), [datetime.date(2024, 1, 1)], "date32"),
    ],
    ids=str,
)
def test_types_without_a_reading_are_refused(
    extractor: FeatureExtractor, kind: Any, value: Any, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        _read(extractor, pyarrow.array([value], kind))


def test_masked_arrays(extractor: FeatureExtractor) -> None:
    wanted = _read(extractor, [1.5, N, 2.5])
    assert _read(extractor, np.ma.masked_array([1.5, 77, 2.5], mask=[0, 1, 0])) == wanted
    texts = np.ma.masked_array(["1.5", "x", "2.5"], mask=[0, 1, 0])
    assert _read(extractor, texts) == wanted


def test_frames_of_polars(extractor: FeatureExtractor) -> None:
    polars = pytest.importorskip("polars")
    rows = [{"p": 1.5, "w": {"a": 0.5}}, {"p": N, "w": {"b": 2.0}}]
    frame = polars.DataFrame(rows)
    wanted = _read(extractor, [1.5, N], [{"a": 0.5}, {"b": 2.0}])
    assert _read(extractor, frame["p"], frame["w"]) == wanted
    assert extractor(frame)["p"].values.ravel().tolist() == wanted["p"]
    lazy = polars.DataFrame({"p": [Decimal("1.5"), N], "w": [N, N]})
    assert extractor(lazy)["p"].values.ravel().tolist() == [1.5, -1]


def test_frames_of_pandas(extractor: FeatureExtractor) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"p": ["1.5", N], "w": [{"a": 0.5}, N]})
    found = extractor(frame)
    assert found["p"].values.ravel().tolist() == [1.5, -1]
    assert found["w"].lengths.tolist() == [1, 0]
    mixed = pandas.DataFrame({"p": [1, "2.5"], "w": [N, N]})
    assert extractor(mixed)["p"].values.ravel().tolist() == [1, 2.5]


def test_queries_of_duckdb(extractor: FeatureExtractor) -> None:
    duckdb = pytest.importorskip("duckdb")
    query = duckdb.connect().sql(
        "select p::decimal(5,2) p, map{'a': p, 'b': null} w from (values (1.5), (null)) t(p)"
    )
    wanted = _read(extractor, [1.5, N], [{"a": 1.5}, {}])
    table = query.to_arrow_table()
    assert _read(extractor, table["p"], table["w"]) == wanted
    assert extractor(query)["p"].values.ravel().tolist() == [1.5, -1]
    numbers = duckdb.connect().sql("select * from (values (1.5::double), (null)) t(p)").fetchnumpy()
    assert _read(extractor, numbers["p"])["p"] == [1.5, -1]


def test_what_is_no_table(extractor: FeatureExtractor) -> None:
    for bad in (7, None, "p", [1]):
        with pytest.raises(DataError, match="is no table"):
            extractor(bad)
    with pytest.raises(DataError, match="column 'p'"):
        extractor({"p": "abc", "w": [N]})
