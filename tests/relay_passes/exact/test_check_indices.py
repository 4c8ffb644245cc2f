from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tvm.ir import IRModule
from tvm.relax import op

from rtcompile.relay_passes.dialect.checked_values import array_digest
from rtcompile.relay_passes.errors import PassError, RowDependenceError
from rtcompile.relay_passes.exact.check_indices import check_indices
from rtcompile.relay_passes.lift.lift_embeddings import lift_embeddings
from tests.relay_passes.modules import (
    Emit,
    assert_settled,
    assert_stays,
    calls,
    const,
    network,
    run,
    weight,
)

TABLE = weight(5)
DIGEST = array_digest(TABLE).hex()
IDS, INT64 = {"ids": ("n", 3)}, {"ids": "int64", "other": "int64"}


def _take(make: Any = lambda emit, ids: ids, dtype: str = "int64") -> IRModule:
    def body(emit: Emit, ids: Any) -> Any:
        return op.take(const(TABLE), make(emit, ids), 0)

    return network(IDS, body, dtypes={"ids": dtype})


def _wrapped(emit: Emit, ids: Any, rows: int = 5) -> Any:
    negative = emit(op.less(ids, const(0, "int64")))
    return emit(op.where(negative, emit(op.add(ids, const(rows, "int64"))), ids))


def _checks(mod: IRModule) -> list[str]:
    after, report = run(check_indices, mod)
    assert_settled(check_indices, after)
    found = [name for name in calls(after) if name.startswith("rtc.check_")]
    assert report.applied == len(found)
    return found


def test_an_index_goes_through_a_check() -> None:
    assert _checks(_take()) == [f"rtc.check_index.5.wrap.{DIGEST}"]


def test_the_wrap_that_an_importer_emits_is_taken_off() -> None:
    after, _ = run(check_indices, _take(_wrapped))
    assert calls(after) == [f"rtc.check_index.5.wrap.{DIGEST}", "take"]


def test_what_is_wrapped_by_another_count_wraps_once() -> None:
    found = _checks(_take(lambda emit, ids: _wrapped(emit, ids, 4)))
    assert found == [f"rtc.check_index.5.plain.{DIGEST}"]


@pytest.mark.parametrize(
    "bounded",
    [
        lambda emit, ids: emit(op.floor_mod(ids, const(5, "int64"))),
        lambda emit, ids: emit(op.astype(emit(op.greater(ids, const(9, "int64"))), "int64")),
        lambda emit, ids: emit(
            op.maximum(emit(op.minimum(ids, const(4, "int64"))), const(0, "int64"))
        ),
    ],
)
def test_a_bounded_index_stays(bounded: Any) -> None:
    assert_stays(check_indices, _take(bounded))


def test_a_byte_that_reaches_every_row_stays() -> None:
    table = np.zeros(256, np.float32)
    body = lambda emit, ids: op.take(const(table), ids, 0)  # noqa: E731
    assert_stays(check_indices, network(IDS, body, dtypes={"ids": "uint8"}))


@pytest.mark.parametrize("bound", [4, 6])
def test_a_near_miss_is_checked(bound: int) -> None:
    # A remainder of negative ids by 6 reaches 5; a minimum alone has no lower end.
    if bound == 6:
        assert _checks(_take(lambda emit, ids: emit(op.floor_mod(ids, const(6, "int64")))))
    else:
        assert _checks(_take(lambda emit, ids: emit(op.minimum(ids, const(4, "int64")))))


def test_a_number_that_an_index_is_computed_from_is_checked_first() -> None:
    def body(emit: Emit, x: Any) -> Any:
        finite = emit(op.where(op.logical_not(op.isfinite(x)), const(0), x))
        ids = emit(op.add(emit(op.astype(finite, "int64")), const(1, "int64")))
        return op.take(const(TABLE), ids, 0)

    mod = network({"x": ("n", 3)}, body)
    assert _checks(mod) == [
        f"rtc.check_number.int64.{DIGEST}",
        f"rtc.check_index.5.wrap.{DIGEST}",
    ]


def test_a_lifted_look_up_has_its_numbers_checked() -> None:
    def body(emit: Emit, x: Any) -> Any:
        ids = emit(op.add(emit(op.astype(x, "int64")), const(1, "int64")))
        return op.take(const(weight(5, 2)), ids, 0)

    lifted, _ = run(lift_embeddings, network({"x": ("n", 3)}, body))
    digest = array_digest(weight(5, 2)).hex()
    assert _checks(lifted) == [f"rtc.check_number.int64.{digest}"]


def test_an_id_is_checked_before_it_is_cut() -> None:
    cut = lambda emit, x: op.take(const(TABLE), emit(op.astype(x, "int32")), 0)  # noqa: E731
    mod = network({"x": ("n", 3)}, cut, dtypes={"x": "uint64"})
    after, _ = run(check_indices, mod)
    assert calls(after)[-2:] == [f"rtc.check_index.5.wrap.{DIGEST}", "take"]

    def moved(emit: Emit, x: Any) -> Any:
        ids = emit(op.astype(x, "int32"))
        return op.take(const(TABLE), emit(op.add(ids, const(1, "int32"))), 0)

    mod = network({"x": ("n", 3)}, moved, dtypes={"x": "int64"})
    assert _checks(mod)[0] == f"rtc.check_number.int32.{DIGEST}"


@pytest.mark.parametrize("source", ["int8", "int16", "uint16"])
def test_an_id_that_fits_is_not_checked_twice(source: str) -> None:
    def body(emit: Emit, x: Any) -> Any:
        ids = emit(op.astype(x, "int32"))
        return op.take(const(TABLE), emit(op.add(ids, const(1, "int32"))), 0)

    mod = network({"x": ("n", 3)}, body, dtypes={"x": source})
    assert _checks(mod) == [f"rtc.check_index.5.wrap.{DIGEST}"]


def test_what_a_hash_or_a_choice_takes_is_cut_as_it_is() -> None:
    def hashed(emit: Emit, x: Any) -> Any:
        return op.take(
            const(TABLE), emit(op.floor_mod(emit(op.astype(x, "int32")), const(5, "int32"))), 0
        )

    def chosen(emit: Emit, x: Any) -> Any:
        ids = emit(op.astype(x, "int32"))
        missing = emit(op.equal(ids, const(-1, "int32")))
        return op.take(const(TABLE), emit(op.where(missing, const(0, "int32"), ids)), 0)

    for body in (hashed, chosen):
        found = _checks(network({"x": ("n", 3)}, body, dtypes={"x": "uint64"}))
        assert not any("check_number" in name for name in found)


def test_places_of_several_axes_have_an_extent_each() -> None:
    body = lambda emit, x, ids: op.gather_nd(x, ids, 1)  # noqa: E731
    mod = network({"x": ("n", 4, 3), "ids": ("n", 2)}, body, dtypes=INT64)
    assert _checks(mod) == ["rtc.check_index.4x3.wrap.GatherND"]


def test_a_constant_index_outside_is_refused() -> None:
    mod = network({"x": ("n", 3)}, lambda emit, x: op.take(x, const([1, 3], "int64"), 1))
    with pytest.raises(PassError, match="Gather reads place 3 of an axis that has 3"):
        run(check_indices, mod)


def test_an_index_along_the_batch_is_refused() -> None:
    body = lambda emit, x, ids: op.take(x, ids, 0)  # noqa: E731
    mod = network({"x": ("n", 3), "ids": ("n",)}, body, dtypes=INT64)
    with pytest.raises(RowDependenceError, match="Gather chooses along the batch by values"):
        run(check_indices, mod)
