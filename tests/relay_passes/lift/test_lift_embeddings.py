from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tvm.ir import IRModule
from tvm.relax import op

from rtcompile.relay_passes.lift.lift_embeddings import lift_embeddings
from tests.relay_passes.evaluate import Array, evaluate
from tests.relay_passes.modules import (
    ROWS,
    Emit,
    arrays,
    assert_rewrites,
    assert_stays,
    calls,
    const,
    kernel,
    network,
    run,
    weight,
)

TABLE = weight(5, 2)
IDS, INT64 = {"ids": ("n", 3)}, {"ids": "int64"}
X = {"x": ("n", 4)}


def _wrapped(emit: Emit, ids: Any, rows: Any = 5, below: int = 0) -> Any:
    """As the importer puts it: ONNX counts from the end below zero."""
    count = const(rows, "int64") if isinstance(rows, int) else rows
    return emit(op.where(op.less(ids, const(below, "int64")), op.add(ids, count), ids))


def _column(emit: Emit, x: Any, column: int) -> Any:
    return emit(op.strided_slice(x, [1], [column], [column + 1]))


def _finite(emit: Emit, c: Any) -> Any:
    return emit(op.where(op.logical_not(op.isfinite(c)), const(0), c))


def _plain(**wrapping: Any) -> IRModule:
    return network(
        IDS,
        lambda emit, ids: op.take(const(TABLE), _wrapped(emit, ids, **wrapping), 0),
        dtypes=INT64,
    )


def _of_column(column: int) -> IRModule:
    def body(emit: Emit, x: Any) -> Any:
        ids = emit(op.astype(_finite(emit, _column(emit, x, column)), "int64"))
        return op.take(const(TABLE), _wrapped(emit, ids), 0)

    return network(X, body)


def test_a_take_of_rows_is_a_lookup() -> None:
    before = network(IDS, lambda emit, ids: op.take(const(TABLE), ids, 0), dtypes=INT64)
    after = assert_rewrites(lift_embeddings, before, _lookup())
    assert calls(after) == ["rtc.embedding_lookup"]


def test_the_wrapping_of_negative_ids_is_taken_off() -> None:
    assert_rewrites(lift_embeddings, _plain(), _lookup())


def test_the_count_of_rows_may_be_computed() -> None:
    def body(emit: Emit, ids: Any) -> Any:
        extents = op.shape_to_tensor(op.shape_of(const(TABLE)))
        rows = emit(op.take(extents, const(0, "int64"), 0, mode="wrap"))
        return op.take(const(TABLE), _wrapped(emit, ids, rows), 0)

    assert_rewrites(lift_embeddings, network(IDS, body, dtypes=INT64), _lookup())


def _lookup() -> IRModule:
    def body(emit: Emit, ids: Any) -> Any:
        return kernel("rtc.embedding_lookup", (const(TABLE), ids), ids, 3, 2)

    return network(IDS, body, dtypes=INT64)


@pytest.mark.parametrize(("column", "at"), [(2, 2), (0, 0)])
def test_a_cast_column_is_read_in_place(column: int, at: int) -> None:
    def body(emit: Emit, x: Any) -> Any:
        return kernel(f"rtc.embedding_lookup.{at}", (const(TABLE), x), x, 1, 2)

    assert_rewrites(lift_embeddings, _of_column(column), network(X, body))


@pytest.mark.parametrize("wrapping", [{"rows": 7}, {"below": 2}])
def test_ids_moved_otherwise_stay_so(wrapping: dict[str, int]) -> None:
    after, report = run(lift_embeddings, _plain(**wrapping))
    assert calls(after) == ["less", "add", "where", "rtc.embedding_lookup"]
    assert report.applied == 1


def test_a_column_with_another_default_stays_so() -> None:
    def body(emit: Emit, x: Any) -> Any:
        c = _column(emit, x, 1)
        ids = emit(op.astype(op.where(op.isfinite(c), c, const(3)), "int64"))
        return op.take(const(TABLE), ids, 0)

    after, _ = run(lift_embeddings, network(X, body))
    assert calls(after)[-2:] == ["astype", "rtc.embedding_lookup"]


def test_a_column_of_two_is_no_column() -> None:
    def body(emit: Emit, x: Any) -> Any:
        return op.take(const(TABLE), op.astype(op.strided_slice(x, [1], [0], [2]), "int64"), 0)

    after, _ = run(lift_embeddings, network(X, body))
    assert calls(after) == ["strided_slice", "astype", "rtc.embedding_lookup"]


def test_a_table_of_another_type_is_refused() -> None:
    table = const(TABLE, "float64")
    mod = network(IDS, lambda emit, ids: op.take(table, ids, 0), dtypes=INT64)
    assert_stays(lift_embeddings, mod, "take from float64 by int64")


@pytest.mark.parametrize(
    "body",
    [
        lambda emit, ids: op.take(const(TABLE), ids, 1),
        lambda emit, ids: op.take(const(TABLE[:, 0]), ids, 0),
        lambda emit, ids: op.take(const(TABLE), const([1, 2], "int64"), 0),
    ],
)
def test_another_take_stays(body: Any) -> None:
    assert_stays(lift_embeddings, network(IDS, body, dtypes=INT64))


def test_a_table_that_is_an_input_stays() -> None:
    inputs = {**IDS, "table": (5, 2)}
    mod = network(inputs, lambda emit, ids, table: op.take(table, ids, 0), dtypes=INT64)
    assert_stays(lift_embeddings, mod)


@given(ids=st.lists(st.integers(-5, 4), min_size=0, max_size=4))
def test_the_rows_of_known_ids_stay(ids: list[int]) -> None:
    before = _plain()
    after, _ = run(lift_embeddings, before)
    given_ids = np.array(ids, np.int64)[:, None] * np.ones(3, np.int64)
    np.testing.assert_array_equal(evaluate(after, given_ids)[0], evaluate(before, given_ids)[0])


@given(x=arrays(ROWS, 4), ids=st.lists(st.integers(-5, 4), min_size=ROWS, max_size=ROWS))
def test_the_rows_of_known_ids_in_a_column_stay(x: Array, ids: list[int]) -> None:
    before = _of_column(2)
    after, _ = run(lift_embeddings, before)
    x[:, 2] = ids
    np.testing.assert_array_equal(evaluate(after, x)[0], evaluate(before, x)[0])


@given(unknown=st.sampled_from([np.nan, np.inf, -np.inf, 5, -6, 0.5, 3e38]))
def test_what_is_no_id_of_the_table_is_left_to_the_kernel(unknown: float) -> None:
    after, _ = run(lift_embeddings, _of_column(2))
    with pytest.raises(ValueError, match="does not have"):
        evaluate(after, np.full((1, 4), unknown, np.float32))
