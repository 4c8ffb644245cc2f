from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from tvm.ir import IRModule
from tvm.relax import op

from rtcompile.relay_passes.simplify.scale_factors import scale_factors
from tests.relay_passes.evaluate import Array, evaluate
from tests.relay_passes.modules import (
    FINITE,
    ROWS,
    Emit,
    arrays,
    assert_rewrites,
    assert_stays,
    const,
    network,
    run,
    weight,
)

INPUTS = {"a": ("n", 4, 2), "b": ("n", 2, 5)}


def _scaled(scale: Callable[[Any], Any]) -> IRModule:
    return network(INPUTS, lambda emit, a, b: scale(emit(op.matmul(a, b))))


@pytest.mark.parametrize(
    "scale",
    [
        lambda x: op.divide(x, const(3)),
        lambda x: op.multiply(x, const([0.5])),
        lambda x: op.multiply(const([[0.5]]), x),
    ],
)
def test_the_smaller_factor_is_scaled(scale: Callable[[Any], Any]) -> None:
    def body(emit: Emit, a: Any, b: Any) -> Any:
        divides = "divide" in str(scale(a))
        factor = op.divide(a, const(3)) if divides else op.multiply(a, const(0.5))
        return op.matmul(emit(factor), b)

    assert_rewrites(scale_factors, _scaled(scale), network(INPUTS, body))


def test_the_right_factor_may_be_the_smaller() -> None:
    inputs = {"a": ("n", 4, 2), "b": ("n", 2, 3)}

    def before(emit: Emit, a: Any, b: Any) -> Any:
        return op.divide(emit(op.matmul(a, b)), const(3))

    def expected(emit: Emit, a: Any, b: Any) -> Any:
        return op.matmul(a, emit(op.divide(b, const(3))))

    assert_rewrites(scale_factors, network(inputs, before), network(inputs, expected))


def _twice(emit: Emit, a: Any, b: Any) -> Any:
    product = emit(op.matmul(a, b))
    return emit(op.divide(product, const(3))), product


@pytest.mark.parametrize(
    "body",
    [
        lambda emit, a, b: op.divide(emit(op.matmul(a, b)), const(weight(5))),  # by columns
        lambda emit, a, b: op.divide(const(3), emit(op.matmul(a, b))),  # the divisor
        lambda emit, a, b: op.add(emit(op.matmul(a, b)), const(3)),  # no factor
        lambda emit, a, b: op.divide(emit(op.matmul(a, const(weight(2, 5)))), const(3)),
        _twice,  # read elsewhere
    ],
)
def test_another_stays(body: Callable[..., Any]) -> None:
    assert_stays(scale_factors, network(INPUTS, body))


def test_a_small_product_stays() -> None:
    def body(emit: Emit, a: Any, b: Any) -> Any:
        return op.divide(emit(op.matmul(a, b)), const(3))

    assert_stays(scale_factors, network({"a": ("n", 2, 9), "b": ("n", 9, 2)}, body))


@given(a=arrays(ROWS, 4, 2, values=FINITE), b=arrays(ROWS, 2, 5, values=FINITE))
def test_the_value_stays_up_to_rounding(a: Array, b: Array) -> None:
    mod = _scaled(lambda x: op.divide(x, const(3)))
    after, _ = run(scale_factors, mod)
    size = np.abs(a) @ np.abs(b)
    apart = np.abs(evaluate(after, a, b)[0] - evaluate(mod, a, b)[0])
    assert (apart <= 4 * np.finfo(np.float32).eps * size + 1e-30).all()


@pytest.mark.parametrize("scale", [0.0, 1e-8, 1e30])
def test_extreme_scales_stay(scale: float) -> None:
    """A factor times one could leave the range of float32 where the product does not."""

    def body(emit: Emit, a: Any, b: Any) -> Any:
        return op.divide(emit(op.matmul(a, b)), const(scale))

    assert_stays(scale_factors, network({"a": ("n", 5, 2), "b": ("n", 2, 5)}, body))
