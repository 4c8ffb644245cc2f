from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from tvm.ir import IRModule
from tvm.relax import op

from relay_passes.fold_scales import fold_scales
from tests.relay_passes.evaluate import Array, evaluate
from tests.relay_passes.modules import (
    FINITE,
    Emit,
    arrays,
    assert_rewrites,
    assert_settled,
    assert_stays,
    const,
    network,
    run,
    weight,
)

W = weight(3, 2)
MEAN, DEVIATION, GAMMA, BETA = [1.0, -2.0], [2.0, 0.5], [4.0, -1.0], [0.25, 8.0]


def _normalised(emit: Emit, x: Any) -> Any:
    y = emit(op.add(emit(op.matmul(x, const(W))), const([0.5, 1.0])))
    y = emit(op.divide(emit(op.subtract(y, const(MEAN))), const([DEVIATION])))
    return op.add(const(BETA), emit(op.multiply(y, const(GAMMA))))


def _network(body: Any, *shape: Any) -> IRModule:
    return network({"x": shape or ("n", 3)}, body)


def test_a_batch_normalisation_becomes_a_bias() -> None:
    scale = np.array(GAMMA) / DEVIATION

    def body(emit: Emit, x: Any) -> Any:
        shift = (np.array([0.5, 1.0]) - MEAN) * scale + BETA
        return op.add(emit(op.matmul(x, const(W * scale))), const(shift))

    assert_rewrites(fold_scales, _network(_normalised), _network(body))


@pytest.mark.parametrize(
    "body",
    [
        lambda emit, x: op.add(emit(op.matmul(x, const(W))), const(BETA)),
        lambda emit, x: op.multiply(x, const([1.0, 2.0, 3.0])),
        lambda emit, x: op.subtract(const(BETA), emit(op.matmul(x, const(W)))),
        lambda emit, x: op.multiply(emit(op.matmul(x, const(W))), const([[1.0], [2.0]])),
        lambda emit, x: op.multiply(emit(op.tanh(emit(op.matmul(x, const(W))))), const(GAMMA)),
    ],
)
def test_what_scales_no_columns_of_a_product_stays(body: Any) -> None:
    assert_stays(fold_scales, _network(body, 2, 3))


def test_what_is_read_elsewhere_stays() -> None:
    def body(emit: Emit, x: Any) -> Any:
        product = emit(op.matmul(x, const(W)))
        return product, op.multiply(product, const(GAMMA))

    assert_stays(fold_scales, _network(body))


def test_a_division_by_zero_is_refused() -> None:
    def body(emit: Emit, x: Any) -> Any:
        return op.divide(emit(op.matmul(x, const(W))), const([0.0, 1.0]))

    assert_stays(fold_scales, _network(body), "not finite")


@given(arrays(4, 3, values=FINITE))
def test_the_value_stays(x: Array) -> None:
    before = _network(_normalised)
    after, _ = run(fold_scales, before)
    (want,), (got,) = evaluate(before, x), evaluate(after, x)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-4)
    assert_settled(fold_scales, after)
