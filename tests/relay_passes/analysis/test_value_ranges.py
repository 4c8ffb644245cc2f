"""Ranges hold for every value that an expression takes."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tvm.relax import op

from rtcompile.relay_passes.analysis.value_ranges import Range, ValueRanges, dtype_range
from rtcompile.relay_passes.matching import bindings
from tests.relay_passes.modules import Emit, const, network

_SMALL = st.integers(-100, 100)


def _range(make: Any, dtype: str = "int64") -> Range | None:
    mod = network({"x": ("n", 3)}, make, dtypes={"x": dtype})
    bound = bindings(mod["main"])
    return ValueRanges(bound).of(list(bound)[-1])


@given(least=_SMALL, most=_SMALL, add=_SMALL, factor=_SMALL, modulus=st.integers(1, 9))
def test_arithmetic_stays_within(
    least: int, most: int, add: int, factor: int, modulus: int
) -> None:
    least, most = sorted((least, most))
    clipped = np.arange(least, most + 1)

    def bounded(emit: Emit, x: Any) -> Any:
        above = emit(op.maximum(x, const(least, "int64")))
        return emit(op.minimum(above, const(most, "int64")))

    for name, other, values in (
        ("add", add, clipped + add),
        ("subtract", add, clipped - add),
        ("multiply", factor, clipped * factor),
        ("floor_mod", modulus, clipped % modulus),
        ("mod", modulus, np.fmod(clipped, modulus)),
        ("divide", modulus, np.trunc(clipped / modulus).astype(int)),
        ("floor_divide", modulus, clipped // modulus),
    ):
        found = _range(
            lambda emit, x, name=name, other=other: getattr(op, name)(
                bounded(emit, x), const(other, "int64")
            )
        )
        assert found is not None
        assert found.within(-(1 << 20), 1 << 20)
        assert found.least <= values.min()
        assert values.max() <= found.most


def test_a_sum_that_may_wrap_is_anything() -> None:
    assert _range(lambda emit, x: op.add(x, const(1, "int8")), "int8") == dtype_range("int8")


def test_a_float_has_a_range_only_where_it_was_an_integer() -> None:
    def clipped(emit: Emit, x: Any) -> Any:
        return op.astype(emit(op.minimum(emit(op.maximum(x, const(0))), const(1))), "int64")

    assert _range(clipped, "float32") == dtype_range("int64")  # NaN goes through
    kept = _range(lambda emit, x: op.astype(emit(op.astype(x, "float32")), "int64"), "uint8")
    assert kept == Range(0, 255)


def test_counts_of_a_mask() -> None:
    def counted(emit: Emit, x: Any) -> Any:
        mask = emit(op.astype(emit(op.greater(x, const(0, "int64"))), "int64"))
        return op.sum(mask, [1])

    assert _range(counted) == Range(0, 3)
