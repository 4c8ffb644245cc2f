"""Requests of a ranking artifact: the right scores, and a typed error for whatever is wrong."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rtcompile
from rtcompile import runtime
from rtcompile.bench.usual_stack import UsualStack
from tests.ranking_model import USER, RankingModel, items, ranking_model

COUNT = 300


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> RankingModel:
    return ranking_model(tmp_path_factory.mktemp("rank"))


@pytest.fixture(scope="module")
def ranking_artifact(model: RankingModel) -> Path:
    path = model.onnx.with_suffix(".rtc")
    options = rtcompile.BuildOptions(features=model.features, embeddings=model.embeddings)
    rtcompile.build(model.onnx, options, output=path)
    return path


@pytest.fixture
def ranker(ranking_artifact: Path) -> runtime.Ranker:
    loaded = runtime.load(ranking_artifact)
    loaded.items.upsert(items(COUNT), key="id")
    return loaded


@pytest.fixture(scope="module")
def original(model: RankingModel) -> UsualStack:
    stack = UsualStack(model.onnx, model.features, model.embeddings)
    stack.upsert(items(COUNT), key="id")
    return stack


def _ids(count: int) -> list[str]:
    return [f"i{i}" for i in range(count)]


def _context(count: int) -> dict[str, Any]:
    return {"position": [i % 5 for i in range(count)]}


@pytest.mark.parametrize("count", [0, 1, 2, 63, 64, 65, 300])
def test_scores_are_the_originals(ranker: runtime.Ranker, original: UsualStack, count: int) -> None:
    scores = ranker.rank(USER, _ids(count), _context(count))["ctr"]
    assert scores.shape == (count, 1)
    assert scores.dtype == np.float32
    if count:
        want = original.rank(USER, _ids(count), _context(count))["ctr"]
        np.testing.assert_allclose(scores, want, atol=1e-5)


def test_ten_thousand_items_repeated_and_in_any_order(ranker: runtime.Ranker) -> None:
    order = np.random.default_rng(0).integers(0, COUNT, 10_000)
    context = {"position": np.zeros(10_000, np.int64)}
    scores = ranker.rank(USER, [f"i{i}" for i in order], context)["ctr"]
    one = ranker.rank(USER, _ids(COUNT), {"position": [0] * COUNT})["ctr"]
    np.testing.assert_array_equal(scores, one[order])


FORMS: list[dict[str, Any]] = [
    {"user_id": "3"},
    {"user_id": np.int32(3)},
    {"user_id": 3.0},
    {"user_id": b" 3 "},
    {"user_id": ["3"]},
    {"age": "41"},
    {"age": np.float32(41)},
    {"age": [41]},
    {"tags": ["a", "b", "c"]},
    {"tags": ("a", b"b", "c")},
    {"tags": np.array(["a", "b", "c"])},
    {"tags": "|a||b|c|"},
    {"hist__item_id": "1;2;3"},
    {"hist__item_id": np.array([1, 2, 3], np.int16)},
    {"hist__item_id": ["1", [2], "3", 4][:3]},
    {"hist__price": "1.5;;3"},
    {"hist__price": [1.5, float("nan"), 3]},
    {"hist__tags": [["a", "b"], None, "c"]},
]


@pytest.mark.parametrize("change", FORMS, ids=repr)
def test_forms_of_the_same_value(ranker: runtime.Ranker, change: dict[str, Any]) -> None:
    want = ranker.rank(USER, _ids(5), _context(5))["ctr"]
    got = ranker.rank({**USER, **change}, _ids(5), _context(5))["ctr"]
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize(
    "change",
    [
        {"age": None},
        {"age": float("nan")},
        {"age": []},
        {"age": "old"},
        {"age": float("inf")},
        {"tags": None},
        {"tags": []},
        {"tags": b"\xff\xfe|\x80"},
        {"tags": "\ud800"},
        {"tags": "x" * 10_000_000},
        {"tags": "x|" * 1_000_000},
        {"hist__item_id": None, "hist__tags": None, "hist__price": None},
        {"hist__item_id": [], "hist__tags": [], "hist__price": []},
        {"hist__item_id": [1] * 1000, "hist__tags": ["a"] * 1000, "hist__price": [1] * 1000},
        {"hist__item_id": ["no number"]},
    ],
    ids=lambda change: repr(change)[:40],
)
def test_hostile_values_score_like_the_original(
    ranker: runtime.Ranker, original: UsualStack, change: dict[str, Any]
) -> None:
    user = {**USER, **change}
    scores = ranker.rank(user, _ids(3), _context(3))["ctr"]
    with np.errstate(all="ignore"):
        want = original.rank(user, _ids(3), _context(3))["ctr"]
    np.testing.assert_allclose(scores, want, atol=1e-5)


def _without(name: str) -> dict[str, Any]:
    return {key: value for key, value in USER.items() if key != name}


@pytest.mark.parametrize(
    ("user", "ids", "context", "error", "message"),
    [
        (_without("age"), _ids(2), _context(2), runtime.RequestError, "user: missing 'age'"),
        (
            {**_without("age"), "agee": 1},
            _ids(2),
            _context(2),
            runtime.RequestError,
            r"user: missing 'age'; unknown 'agee' \(did you mean 'age'",
        ),
        ({**USER, "x": 1}, _ids(2), _context(2), runtime.RequestError, "unknown 'x'"),
        (None, _ids(2), _context(2), runtime.RequestError, "user: a mapping of fields"),
        ({**USER, "age": {}}, _ids(2), _context(2), runtime.RequestError, "user field 'age': dict"),
        ({**USER, "age": object()}, _ids(2), _context(2), runtime.RequestError, "'age': object"),
        ({**USER, "tags": [["a"]]}, _ids(2), _context(2), runtime.RequestError, "'tags': list"),
        ({**USER, "user_id": None}, _ids(2), _context(2), runtime.RequestError, "no value"),
        ({**USER, "user_id": []}, _ids(2), _context(2), runtime.RequestError, "no value"),
        ({**USER, "user_id": "x"}, _ids(2), _context(2), runtime.RequestError, "no value"),
        ({**USER, "user_id": 20}, _ids(2), _context(2), runtime.UnknownIdError, "id 20 is outside"),
        (USER, ["i1", "no"], _context(2), runtime.UnknownItemError, "items 'no' are not in"),
        (USER, [f"n{i}" for i in range(9)], _context(9), runtime.UnknownItemError, "and 4 more"),
        (USER, "i1", _context(2), runtime.RequestError, "items: a list of ids, not str"),
        (USER, [1.5], _context(1), runtime.RequestError, "float 1.5 is no item id"),
        (USER, [None], _context(1), runtime.RequestError, "NoneType None is no item id"),
        (USER, _ids(2), None, runtime.RequestError, "context: missing 'position'"),
        (USER, _ids(2), _context(3), runtime.RequestError, "3 values for 2 items"),
        (USER, _ids(2), {"position": 1}, runtime.RequestError, "a list with a value an item"),
        (USER, _ids(2), {"position": [1, {}]}, runtime.RequestError, "context field 'position'"),
    ],
)
def test_malformed_requests(
    ranker: runtime.Ranker, user: Any, ids: Any, context: Any, error: Any, message: str
) -> None:
    want = ranker.rank(USER, _ids(2), _context(2))["ctr"]
    with pytest.raises(error, match=message):
        ranker.rank(user, ids, context)
    np.testing.assert_array_equal(ranker.rank(USER, _ids(2), _context(2))["ctr"], want)


def test_rank_and_predict_are_told_apart(ranker: runtime.Ranker, artifact_path: Path) -> None:
    with pytest.raises(runtime.RequestError, match="has features; call rank"):
        ranker.predict({})
    graph = runtime.load(artifact_path)
    for call in (lambda: graph.rank({}, []), lambda: graph.items, lambda: graph.extract(user={})):
        with pytest.raises(runtime.RequestError, match="built without features; call predict"):
            call()


def test_extract_shows_what_the_network_saw(ranker: runtime.Ranker) -> None:
    columns = ranker.extract(USER, _ids(3), _context(3))
    assert columns["user_id"].values.tolist() == [3]
    np.testing.assert_allclose(columns["age"].values, [[(41 - 30) / 9]], rtol=1e-6)
    assert columns["hist__item_id"].values.tolist() == [1, 2, 3]
    assert columns["hist__item_id"].seq_lengths.tolist() == [3]  # type: ignore[union-attr]
    assert columns["item_id"].values.tolist() == [0, 1, 2]
    assert columns["scored"].weights is not None
    assert columns["position"].values.tolist() == [0, 1, 2]
    assert columns["seen"].values.tolist() == [[-1.0], [2.5], [-1.0]]
    assert columns["brand"].values.tolist() == [3, 5, 5, 3]
    assert columns["overlap"].values.tolist() == [0, 1, 0]
    assert set(ranker.extract(items=_ids(1))) == {
        "item_id",
        "price",
        "size",
        "words",
        "pair",
        "scored",
    }


# -- the item table -------------------------------------------------------------------------------


def test_lines_for_a_log_and_what_differs(ranker: runtime.Ranker) -> None:
    ids = _ids(3)
    lines = ranker.extract_lines(USER, ids, _context(3))
    columns = ranker.extract(USER, ids, _context(3))
    parsed = [json.loads(line) for line in lines]
    assert [list(row) for row in parsed] == [list(parsed[0])] * 3
    assert set(parsed[0]) == {*columns, "scored__weights"}
    assert np.float32(parsed[1]["age"]) == columns["age"].values[0, 0]
    assert [row["position"] for row in parsed] == [[int(v)] for v in columns["position"].values]
    assert ranker.extract_differences(lines, USER, ids, _context(3)) == [{}, {}, {}]
    other = {**USER, "age": 77, "tags": "x|y|z"}
    for found in ranker.extract_differences(lines, other, ids, _context(3)):
        assert {"age", "tags"} <= set(found) <= {"age", "tags", "ratio"}
        assert found["tags"].logged == parsed[0]["tags"]
        assert found["tags"].now != found["tags"].logged
    changed = [json.dumps({**parsed[0], "gone": [1], "age": float("nan")}), *lines[1:]]
    first, *rest = ranker.extract_differences(changed, USER, ids, _context(3))
    assert set(first) == {"gone", "age"}
    assert first["gone"] == runtime.Difference([1], None)
    assert rest == [{}, {}]


@pytest.mark.parametrize("line", ["{", "[]", "", 7])
def test_bad_logged_lines(ranker: runtime.Ranker, line: Any) -> None:
    with pytest.raises(runtime.RequestError, match="logged line"):
        ranker.extract_differences([line], USER, _ids(1), _context(1))
    with pytest.raises(runtime.RequestError, match="0 logged lines for 1 items"):
        ranker.extract_differences([], USER, _ids(1), _context(1))


def _rows(count: int) -> list[dict[str, Any]]:
    table = items(count)
    return [{name: values[row] for name, values in table.items()} for row in range(count)]


def test_delete_takes_what_asks_the_table(ranker: runtime.Ranker) -> None:
    ranker.items.replace(items(COUNT), key="id")
    assert ranker.items.delete(item for item in ranker.items.ids() if item == "i3") == 1
    assert "i3" not in ranker.items

    def stale() -> Iterator[str]:
        yield from ranker.items.ids()

    assert ranker.items.delete(stale()) == COUNT - 1
    ranker.items.replace(items(COUNT), key="id")


def test_upsert_delete_replace(ranker: runtime.Ranker) -> None:
    before = ranker.rank(USER, ["i0", "i1"], _context(2))["ctr"]
    changed = items(1)
    changed["price"] = [99.0]
    assert ranker.items.upsert(changed, key="id") == 1
    after = ranker.rank(USER, ["i0", "i1"], _context(2))["ctr"]
    assert after[0] != before[0]
    assert after[1] == before[1]
    assert len(ranker.items) == COUNT
    assert ranker.items.delete(["i0", "i0", "never"]) == 1
    assert "i0" not in ranker.items
    with pytest.raises(runtime.UnknownItemError):
        ranker.rank(USER, ["i0"], _context(1))
    assert ranker.items.replace(_rows(2), key="id") == 2
    assert sorted(ranker.items.ids()) == ["i0", "i1"]
    np.testing.assert_array_equal(ranker.rank(USER, ["i0", "i1"], _context(2))["ctr"], before)


def test_many_changes_keep_the_table_small(ranker: runtime.Ranker) -> None:
    want = ranker.rank(USER, _ids(COUNT), _context(COUNT))["ctr"]
    for _ in range(20):
        ranker.items.upsert(items(COUNT), key="id")
    np.testing.assert_array_equal(ranker.rank(USER, _ids(COUNT), _context(COUNT))["ctr"], want)
    assert ranker.items.state.capacity < 5 * COUNT
    ranker.items.delete(_ids(COUNT))
    ranker.items.upsert(items(1), key="id")
    assert len(ranker.items) == 1


def test_a_table_larger_than_a_batch(ranker: runtime.Ranker) -> None:
    ranker.items.replace(items(9000), key="id")
    scores = ranker.rank(USER, ["i0", "i8999", "i4096"], _context(3))["ctr"]
    ranker.items.replace({n: [v[0], v[8999], v[4096]] for n, v in items(9000).items()}, key="id")
    again = ranker.rank(USER, ["i0", "i8999", "i4096"], _context(3))["ctr"]
    np.testing.assert_array_equal(scores, again)


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_items_from_a_file(ranker: runtime.Ranker, tmp_path: Path, suffix: str) -> None:
    want = ranker.rank(USER, _ids(4), _context(4))["ctr"]
    path = tmp_path / f"items{suffix}"
    if suffix == ".jsonl":
        path.write_text("".join(f"{json.dumps(row)}\n" for row in _rows(4)))
    else:
        pa = pytest.importorskip("pyarrow")
        import pyarrow.parquet

        columns = {n: pa.array(v) for n, v in items(4).items() if n != "scored"}
        pairs = [list(value.items()) for value in items(4)["scored"]]
        columns["scored"] = pa.array(pairs, pa.map_(pa.string(), pa.float64()))
        pyarrow.parquet.write_table(pa.table(columns), path)
    assert ranker.items.replace(path, key="id") == 4
    np.testing.assert_allclose(ranker.rank(USER, _ids(4), _context(4))["ctr"], want, atol=1e-6)


def test_integer_ids(ranker: runtime.Ranker) -> None:
    ranker.items.replace(items(5))  # by the column item_id
    by_number = ranker.rank(USER, [0, 1], _context(2))["ctr"]
    by_array = ranker.rank(USER, np.array([0, 1]), _context(2))["ctr"]
    np.testing.assert_array_equal(by_number, ranker.rank(USER, ["0", "1"], _context(2))["ctr"])
    np.testing.assert_array_equal(by_number, by_array)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"id": ["a"]}, "columns 'item_id', 'price'.* are missing"),
        ({**items(2), "price": [1.0]}, "columns of different lengths"),
        ({**items(2), "id": "ab"}, "column 'id' is not a list of values"),
        ({**items(2), "id": ["a", None]}, "row 1: NoneType None is no item id"),
        ({**items(2), "price": [1.0, {}]}, "item field 'price': dict"),
        ({**items(1), "item_id": [25]}, "id 25 is outside table 'ids_table'"),
        ([{"id": 1}, {}], "row 1 lacks 'id'"),
        (7, "int is no table"),
        ("items.txt", "items.txt: an item file is one of .jsonl, .csv, .parquet"),
        ("none.csv", "none.csv: cannot be read"),
    ],
)
def test_bad_tables_change_nothing(ranker: runtime.Ranker, table: Any, message: str) -> None:
    before = ranker.rank(USER, _ids(2), _context(2))["ctr"]
    change = ranker.items.replace if isinstance(table, str) else ranker.items.upsert
    with pytest.raises(runtime.RequestError, match=message):
        change(table, key="id")
    assert len(ranker.items) == COUNT
    np.testing.assert_array_equal(ranker.rank(USER, _ids(2), _context(2))["ctr"], before)


def test_requests_while_items_change(ranker: runtime.Ranker) -> None:
    want = ranker.rank(USER, _ids(COUNT), _context(COUNT))["ctr"]
    stop, wrong = threading.Event(), []

    def read() -> None:
        while not stop.is_set():
            got = ranker.rank(USER, _ids(COUNT), _context(COUNT))["ctr"]
            if not np.array_equal(got, want):
                wrong.append(got)

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    for _ in range(30):
        ranker.items.upsert(items(COUNT), key="id")
        ranker.items.replace(items(COUNT), key="id")
    stop.set()
    for reader in readers:
        reader.join()
    assert not wrong
