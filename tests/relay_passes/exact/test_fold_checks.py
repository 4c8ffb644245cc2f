from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tvm import relax
from tvm.ir import IRModule
from tvm.relax import op

from rtcompile.relay_passes.errors import PassError
from rtcompile.relay_passes.exact.fold_checks import fold_checks
from tests.relay_passes.evaluate import evaluate
from tests.relay_passes.modules import (
    Emit,
    assert_settled,
    assert_stays,
    calls,
    const,
    network,
    run,
)


def _checked(symbol: str, value: Any, *shape: Any, dtype: str = "int64") -> Any:
    ty = relax.TensorType(shape, dtype)
    return relax.op.call_dps_packed(symbol, relax.Tuple([value]), out_ty=ty)


def _of_constant(symbol: str, values: list[Any], dtype: str, result: str = "int64") -> IRModule:
    def body(emit: Emit, x: Any) -> Any:
        return _checked(symbol, const(values, dtype), len(values), dtype=result)

    return network({"x": ("n", 2)}, body)


@pytest.mark.parametrize(
    ("symbol", "given", "dtype", "want"),
    [
        ("rtc.check_index.5.wrap.T", [0, 4, -1, -5], "int32", [0, 4, 4, 0]),
        ("rtc.check_index.5.plain.T", [0, 4], "uint8", [0, 4]),
        ("rtc.check_number.int64.T", [2.7, -1.0], "float32", [2, -1]),
        ("rtc.check_divisor.unit", [3, -1], "int64", [3, 1]),
        ("rtc.check_divisor.zero", [3, -1], "int64", [3, -1]),
    ],
)
def test_a_constant_that_passes_takes_the_place_of_its_check(
    symbol: str, given: list[Any], dtype: str, want: list[int]
) -> None:
    after, report = run(fold_checks, _of_constant(symbol, given, dtype))
    assert report.applied == 1
    assert_settled(fold_checks, after)
    (got,) = evaluate(after, np.zeros((1, 2), np.float32))
    assert (got.dtype, got.tolist()) == (np.dtype("int64"), want)


@pytest.mark.parametrize(
    ("symbol", "given", "dtype", "reason"),
    [
        ("rtc.check_index.5.wrap.T", [5], "int64", "the constant index 5 is outside"),
        ("rtc.check_index.5.wrap.T", [-6], "int64", "the constant index -6 is outside"),
        ("rtc.check_index.5.plain.T", [-1], "int64", "the constant index -1 is outside"),
        ("rtc.check_number.int64.T", [float("nan")], "float32", "not finite"),
        ("rtc.check_divisor.unit", [1, 0], "int64", "a constant zero"),
    ],
)
def test_a_constant_that_does_not_pass_is_refused(
    symbol: str, given: list[Any], dtype: str, reason: str
) -> None:
    with pytest.raises(PassError, match=reason):
        run(fold_checks, _of_constant(symbol, given, dtype))


def _of_remainder(divisor: int) -> IRModule:
    def body(emit: Emit, ids: Any) -> Any:
        bounded = emit(op.floor_mod(ids, const(divisor, "int32")))
        return _checked("rtc.check_index.5.wrap.T", bounded, *ids.ty.shape.values)

    return network({"ids": ("n", 2)}, body, dtypes={"ids": "int32"})


def test_a_bound_that_shows_later_takes_the_check_out() -> None:
    after, report = run(fold_checks, _of_remainder(5))
    assert report.applied == 1
    assert calls(after) == ["floor_mod", "astype"]
    assert_settled(fold_checks, after)


def test_a_wider_bound_stays() -> None:
    assert_stays(fold_checks, _of_remainder(6))
