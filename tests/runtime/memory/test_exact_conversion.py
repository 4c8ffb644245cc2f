"""Arrays as a model's inputs: exact, or a RequestError that names input, row and value."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcompile import runtime
from rtcompile.runtime.memory.arrays import aligned_rows

INTEGERS = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")
FLOATS = ("float16", "float32", "float64")
TARGETS = ("bool", "int8", "uint8", "int32", "int64", "float16", "float32", "float64")
EDGES = sorted(
    {
        s * (1 << b) + d
        for b in (0, 7, 8, 11, 24, 31, 32, 53, 63, 64)
        for s in (1, -1)
        for d in (-1, 0, 1)
    }
)


@given(
    st.lists(st.sampled_from(EDGES), min_size=1, max_size=4),
    st.sampled_from(INTEGERS),
    st.sampled_from(TARGETS),
)
def test_integers_are_exact_or_refused(values: list[int], dtype: str, target: str) -> None:
    known = np.iinfo(dtype)
    values = [v for v in values if known.min <= v <= known.max] or [0]
    array = np.array(values, dtype)
    try:
        found = aligned_rows(array, "x", target, ())
    except runtime.RequestError as error:
        if target == "bool":
            assert "cannot be converted to bool" in str(error)
            return
        with np.errstate(all="ignore"):
            lost = [i for i, v in enumerate(values) if not _holds(target, v)]
        assert f"input 'x', row {lost[0]}: {values[lost[0]]} cannot be" in str(error)
        return
    assert found.tolist() == values
    assert str(found.dtype) == target


def _holds(target: str, value: int) -> bool:
    if target.startswith("float"):
        single = float(np.dtype(target).type(value))
        return np.isfinite(single) and int(single) == value
    known = np.iinfo(target)
    return bool(known.min <= value <= known.max)


@given(
    st.lists(st.floats(width=64), min_size=1, max_size=3),
    st.sampled_from(FLOATS),
    st.sampled_from(FLOATS),
    st.booleans(),
)
def test_floats_are_rounded_within_the_range(
    values: list[float], dtype: str, target: str, swap: bool
) -> None:
    with np.errstate(over="ignore"):
        array = np.array(values, dtype)
        want = array.astype(target)
    array = array.astype(array.dtype.newbyteorder()) if swap else array
    lost = np.isinf(want) & np.isfinite(array)
    if lost.any():
        with pytest.raises(
            runtime.RequestError, match=rf"row {np.flatnonzero(lost)[0]}: .*without loss"
        ):
            aligned_rows(array, "x", target, ())
        return
    np.testing.assert_array_equal(aligned_rows(array, "x", target, ()), want)


@pytest.mark.parametrize(
    ("value", "target", "message"),
    [
        (np.array([1.0, 2.0]), "int64", "float64 cannot be converted to int64"),
        (np.array([1, 0]), "bool", "int64 cannot be converted to bool"),
        (np.array(["1"]), "int64", "cannot be converted"),
        (np.array([b"1"]), "float32", "cannot be converted"),
        (np.array([1, 2], object), "int64", "object cannot be converted"),
        (np.array([1j]), "float64", "cannot be converted"),
        (np.array(["2024-01-01"], "M8[D]"), "int64", "cannot be converted"),
        (np.array([3], "m8[s]"), "int64", "cannot be converted"),
        (np.ma.masked_array([1, 2, 3], mask=[0, 0, 1]), "int64", "row 2: masked"),
        (np.array(5), "int64", r"shape \(\) is not \(rows\)"),
        (7, "int64", r"shape \(\) is not \(rows\)"),
        ([2**70], "int64", "cannot be converted"),
        ([2**63 + 1, -1], "float64", "row 0: 9223372036854775809 cannot be converted"),
        ([2**53 + 1, 0.5], "float32", "row 0: 9007199254740993 cannot be converted"),
        ([[1], [1, 2]], "int64", "not a rectangular array"),
        ({1, 2}, "int64", "cannot be converted"),
    ],
)  # fmt: skip
def test_what_is_not_exact_is_refused(value: Any, target: str, message: str) -> None:
    with pytest.raises(runtime.RequestError, match=message):
        aligned_rows(value, "x", target, ())


def test_a_place_is_named_behind_its_row() -> None:
    array = np.zeros((3, 4), np.int64)
    array[2, 1] = 1 << 40
    with pytest.raises(runtime.RequestError, match=f"input 'x', row 2, place 1: {1 << 40}"):
        aligned_rows(array, "x", "int32", (4,))


def test_an_object_that_fails_is_refused() -> None:
    class Hostile:
        def __array__(self, *args: object, **kwargs: object) -> np.ndarray:
            raise MemoryError("no room")

    with pytest.raises(runtime.RequestError, match="no room"):
        aligned_rows(Hostile(), "x", "int64", ())


def test_masked_values_that_all_rows_share_are_refused() -> None:
    masked = np.ma.masked_array([1.0, 2.0], mask=[0, 1])
    with pytest.raises(runtime.RequestError, match="masked"):
        aligned_rows(masked, "x", "float32", (2,), shared=True)
    with pytest.raises(runtime.RequestError, match=r"shape \(3,\) is not \(2\)"):
        aligned_rows(np.zeros(3), "x", "float32", (2,), shared=True)
