"""Ids and divisors that a graph does not know: an error names input, value, row and table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx.parser
import pytest
from onnx import TensorProto, numpy_helper

import rtcompile
from rtcompile import runtime

pytestmark = pytest.mark.slow


def _table(*shape: int, dtype: Any = "float32") -> Any:
    return (np.arange(int(np.prod(shape))) % 7).astype(dtype).reshape(shape)


def _model(folder: Path, text: str, **constants: Any) -> Path:
    """Save a graph in ONNX's text form."""
    given = onnx.parser.parse_model(f'<ir_version: 9, opset_import: ["" : 17]> g {text}')
    given.graph.initializer.extend(numpy_helper.from_array(v, k) for k, v in constants.items())
    onnx.save(given, folder / "m.onnx")
    return folder / "m.onnx"


def _ranker(folder: Path, text: str, **constants: Any) -> runtime.Ranker:
    options = rtcompile.BuildOptions(verify=False)
    rtcompile.build(_model(folder, text, **constants), options, output=folder / "m.rtc")
    return runtime.load(folder / "m.rtc")


_GATHER = "{ y = Gather(T, i) }"
_TURNED = "{ a = Gather<axis=-1>(T, i) y = Transpose<perm=[1, 0]>(a) }"
_CASES: list[tuple[str, Any, str, Any]] = [
    (f"(int64[N] i) => (float[N] y) {_GATHER}", _table(9), "int64", 10),
    (f"(int64[N] i) => (float[N] y) {_GATHER}", _table(9), "int64", -10),
    (f"(int64[N] i) => (float[N, 3, 4] y) {_GATHER}", _table(9, 3, 4), "int64", 9),
    (f"(int64[N] i) => (float[N, 2, 3, 4] y) {_GATHER}", _table(9, 2, 3, 4), "int64", 1 << 62),
    (f"(int64[N] i) => (int64[N, 4] y) {_GATHER}", _table(9, 4, dtype="int64"), "int64", 9),
    (f"(int64[N] i) => (double[N, 4] y) {_GATHER}", _table(9, 4, dtype="float64"), "int64", 9),
    (f"(int64[N] i) => (float16[N, 4] y) {_GATHER}", _table(9, 4, dtype="float16"), "int64", 9),
    (f"(int64[N] i) => (bool[N, 4] y) {_GATHER}", _table(9, 4, dtype="bool"), "int64", 9),
    (f"(int32[N] i) => (float[N] y) {_GATHER}", _table(9), "int32", (1 << 31) - 1),
    (f"(int64[N] i) => (float[N, 3] y) {_TURNED}", _table(3, 9), "int64", -10),
    ("(int64[N, 1] i) => (float[N, 4] y) { y = GatherND(T, i) }", _table(9, 4), "int64", 9),
]


@pytest.mark.parametrize(("text", "table", "dtype", "bad"), _CASES)
def test_an_id_outside_is_named(
    tmp_path: Path, text: str, table: Any, dtype: str, bad: int
) -> None:
    ranker = _ranker(tmp_path, text, T=table)
    ids = np.array([8, -9, 3], dtype)
    shape = (-1, 1) if "GatherND" in text else (-1,)
    ranker.predict({"i": ids.reshape(shape)})
    ids[1] = bad
    with pytest.raises(runtime.UnknownIdError) as error:
        ranker.predict({"i": ids.reshape(shape)})
    # A table of halves is kept as float32, and has no name in the file then.
    name = "T" if table.dtype != np.float16 else str(error.value).split("'")[3]
    said = f"input 'i': id {bad} is outside table {name!r}, which has 9 rows (row 1)"
    assert str(error.value) == said


def test_the_first_row_is_the_one_that_is_named(tmp_path: Path) -> None:
    ranker = _ranker(tmp_path, f"(int64[N] i) => (float[N] y) {_GATHER}", T=_table(9))
    ids = np.arange(500) % 9
    ids[[130, 131, 400]] = 20, 30, 40
    with pytest.raises(runtime.UnknownIdError, match=r"id 20 .*\(row 130\)"):
        ranker.predict({"i": ids})
    for _ in range(3):  # a million of them are one line too
        with pytest.raises(runtime.UnknownIdError) as error:
            ranker.predict({"i": np.full(1_000_000, 99)})
        assert len(str(error.value)) < 100


def test_places_of_several_axes(tmp_path: Path) -> None:
    text = "(float[N, 8, 3] x, int64[N, 2] i) => (float[N] y) { y = GatherND<batch_dims=1>(x, i) }"
    ranker, x = _ranker(tmp_path, text), _table(2, 8, 3)
    got = ranker.predict({"x": x, "i": np.array([[1, 2], [-8, -3]])})["y"]
    assert got.tolist() == [x[0, 1, 2], x[1, 0, 0]]
    for bad in ([7, 3], [-9, 0]):
        with pytest.raises(runtime.UnknownIdError, match=r"input 'i'.*is 8 x 3 \(row 1\)"):
            ranker.predict({"x": x, "i": np.array([[1, 2], bad])})


_ELEMENTS = "(float[N, 4] x, int32[N, 2] i, float[N, 2] u) => (float[N, 4] y)"
_ND = "(float[N, 2, 4] z, float[2, 4] x, int64[3, 2] i, float[3] u) => (float[N, 2, 4] y)"


@pytest.mark.parametrize("reduction", ["none", "add", "max"])
def test_nothing_is_written_outside(tmp_path: Path, reduction: str) -> None:
    body = f'{{ y = ScatterElements<axis=1, reduction="{reduction}">(x, i, u) }}'
    ranker, x = _ranker(tmp_path, f"{_ELEMENTS} {body}"), np.zeros((2, 4), np.float32)
    feeds = {"x": x, "u": np.ones((2, 2), np.float32)}
    got = ranker.predict({**feeds, "i": np.array([[0, 3], [-4, -1]], np.int32)})["y"]
    assert got.tolist() == [[1, 0, 0, 1]] * 2
    for bad in (4, -5, np.iinfo(np.int32).min):
        with pytest.raises(runtime.UnknownIdError, match=rf"^input 'i': id {bad} .*\(row 1\)"):
            ranker.predict({**feeds, "i": np.array([[0, 1], [2, bad]], np.int32)})


def test_a_place_outside_one_axis_is_no_place_of_the_next(tmp_path: Path) -> None:
    ranker = _ranker(tmp_path, f"{_ND} {{ w = ScatterND(x, i, u) y = Add(z, w) }}")
    zero = np.zeros((1, 2, 4), np.float32)
    feeds = {"z": zero, "x": zero[0], "u": np.array([1, 2, 3], np.float32)}
    got = ranker.predict({**feeds, "i": np.array([[0, 0], [1, 3], [-1, -4]])})["y"]
    assert got[0].tolist() == [[1, 0, 0, 0], [3, 0, 0, 2]]
    for bad in ([0, 4], [2, 0], [1, -5]):
        with pytest.raises(runtime.UnknownIdError, match=r"^input 'i': id .* is 2 x 4"):
            ranker.predict({**feeds, "i": np.array([[0, 0], bad, [1, 1]])})


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
def test_what_is_no_number_is_no_id(tmp_path: Path, bad: float) -> None:
    body = "{ a = Cast<to=7>(f) k = Add(a, one) y = Gather(T, k) }"
    one = np.ones((), np.int64)
    ranker = _ranker(tmp_path, f"(float[N] f) => (float[N] y) {body}", T=_table(9), one=one)
    assert ranker.predict({"f": np.array([2.9, 4], np.float32)})["y"].tolist() == [3, 5]
    with pytest.raises(runtime.UnknownIdError, match=r"^input 'f': .* no id of table 'T' \(row 1"):
        ranker.predict({"f": np.array([1, bad], np.float32)})


@pytest.mark.parametrize(
    "dtype", ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
)
@pytest.mark.parametrize("operator", ["Div", "Mod", "Mod<fmod=1>"])
def test_a_divisor_of_zero_is_named(tmp_path: Path, dtype: str, operator: str) -> None:
    text = f"({dtype}[N] a, {dtype}[N] b) => ({dtype}[N] y) {{ y = {operator}(a, b) }}"
    ranker, least = _ranker(tmp_path, text), np.iinfo(dtype).min
    a, b = np.array([9, 7, 0], dtype), np.array([2, 3, 5], dtype)
    want = [4, 2, 0] if operator == "Div" else [1, 1, 0]
    assert ranker.predict({"a": a, "b": b})["y"].tolist() == want
    with pytest.raises(runtime.RequestError, match=r"input 'b': integer division by zero \(row 2"):
        ranker.predict({"a": a, "b": np.array([1, 1, 0], dtype)})
    if least:  # whose quotient by -1 no register holds
        got = ranker.predict({"a": np.array([least, 9], dtype), "b": np.array([-1, -1], dtype)})
        assert got["y"].tolist() == ([least, -9] if operator == "Div" else [0, 0])


def test_a_guarded_divisor_needs_no_error(tmp_path: Path) -> None:
    body = "{ e = Equal(b, zero) w = Where(e, one, b) y = Div(a, w) }"
    text = f"(int64[N] a, int64[N] b) => (int64[N] y) {body}"
    ranker = _ranker(tmp_path, text, zero=np.zeros((), np.int64), one=np.ones((), np.int64))
    got = ranker.predict({"a": np.array([5, 6]), "b": np.array([0, 2])})["y"]
    assert got.tolist() == [5, 3]


def test_an_index_that_no_request_can_read_is_refused(tmp_path: Path) -> None:
    nine = np.array([9])
    text = "(float[N, 8] x) => (float[N, 1] y) { y = Gather<axis=1>(x, i) }"
    with pytest.raises(rtcompile.errors.RtcompileError, match="9 of an axis that has 8"):
        _ranker(tmp_path, text, i=nine)


@pytest.mark.parametrize("stored", ["int8", "int4", "fp16", "bf16"])
def test_an_id_outside_of_a_table_of_few_bits_is_named(tmp_path: Path, stored: Any) -> None:
    model = _model(tmp_path, f"(int32[N] i) => (float[N, 64] y) {_GATHER}", T=_table(500, 64))
    options = rtcompile.BuildOptions(verify=False, embedding_dtype=stored)
    rtcompile.build(model, options, output=tmp_path / "m.rtc")
    ranker = runtime.load(tmp_path / "m.rtc")
    for bad in (500, -501, np.iinfo(np.int32).max, np.iinfo(np.int32).min):
        with pytest.raises(runtime.UnknownIdError, match=rf"^input 'i': id {bad} .*'T'.*\(row 1"):
            ranker.predict({"i": np.array([-500, bad], np.int32)})


@pytest.mark.parametrize("to", [TensorProto.INT32, TensorProto.INT16, TensorProto.UINT8])
def test_a_number_that_its_integer_cannot_hold_is_no_id(tmp_path: Path, to: int) -> None:
    body = f"{{ c = Cast<to={to}>(f) k = Cast<to=7>(c) y = Gather(T, k) }}"
    ranker = _ranker(tmp_path, f"(double[N] f) => (float[N] y) {body}", T=_table(9))
    assert ranker.predict({"f": np.array([2.9, 4])})["y"].tolist() == [2, 4]
    for bad in (2.0**31, 2.0**32, 1e18, -(2.0**40)):  # whose last bits are those of 0
        with pytest.raises(runtime.UnknownIdError, match=r"^input 'f': .* no id of table 'T'"):
            ranker.predict({"f": np.array([1, bad])})


_FEATURES = [
    ("age", "user:age"),
    ("shown", "item:shown"),
    ("place", "context:place"),
]


def _ranking(folder: Path) -> runtime.Ranker:
    """ctr = W[int(age)] + V[int(shown)] + U[int(place)] + 100 / int(shown), of raw numbers."""
    body = """{
        a = Cast<to=7>(age) s = Cast<to=7>(shown) p = Cast<to=7>(place)
        w = Gather(W, a) v = Gather(V, s) u = Gather(U, p) q = Div(hundred, s) f = Cast<to=1>(q)
        x = Add(w, v) z = Add(u, f) ctr = Add(x, z) }"""
    text = f"(float[N] age, float[N] shown, float[N] place) => (float[N] ctr) {body}"
    hundred = np.array(100, np.int64)
    model = _model(folder, text, W=_table(120), V=_table(50), U=_table(20), hundred=hundred)
    features = [
        {"feature_type": "raw_feature", "feature_name": n, "expression": e, "default_value": "1"}
        for n, e in _FEATURES
    ]
    (folder / "fg.json").write_text(json.dumps({"features": features}))
    options = rtcompile.BuildOptions(features=folder / "fg.json", verify=False)
    rtcompile.build(model, options, output=folder / "m.rtc")
    return runtime.load(folder / "m.rtc")


def test_raw_numbers_that_a_ranking_model_reads_tables_by(tmp_path: Path) -> None:
    ranker = _ranking(tmp_path)
    ranker.items.upsert([{"item_id": str(i), "shown": i + 1} for i in range(40)])
    ids, places = ["3", "4"], {"place": [5, 6]}
    (got,) = ranker.rank({"age": 30}, ids, places).values()
    assert got.tolist() == [30 % 7 + 4 + 5 + 25, 30 % 7 + 5 + 6 + 20]
    for age in (150, 1e12, -121):
        with pytest.raises(runtime.UnknownIdError, match=r"^feature 'age': id .*table 'W'.* rows$"):
            ranker.rank({"age": age}, ids, places)
    with pytest.raises(runtime.UnknownIdError, match=r"^feature 'place': id 20 .*'U'.*\(row 1\)$"):
        ranker.rank({"age": 3}, ids, {"place": [5, 20]})
    for shown, error in ((50, "id 50 is outside table 'V'"), (0, "integer division by zero")):
        named = f"^items: row 1, item 'x': feature 'shown': {error}[^(]*$"
        with pytest.raises(runtime.RequestError, match=named):
            ranker.items.upsert([{"item_id": "1", "shown": 2}, {"item_id": "x", "shown": shown}])
    assert len(ranker.items) == 40  # nothing was inserted
    (again,) = ranker.rank({"age": 30}, ids, places).values()
    assert again.tolist() == got.tolist()


def test_threads_that_share_a_request_name_a_true_row(tmp_path: Path) -> None:
    _ranker(tmp_path, f"(int64[N] i) => (float[N] y) {_GATHER}", T=_table(9))
    ranker = runtime.load(tmp_path / "m.rtc", threads=2)
    ids = np.arange(200_000) % 9
    for bad in range(20):
        given = ids.copy()
        given[777 * bad] = 9 + bad
        with pytest.raises(runtime.UnknownIdError, match=rf"id {9 + bad} .*\(row {777 * bad}\)"):
            ranker.predict({"i": given})
        ranker.predict({"i": ids})
