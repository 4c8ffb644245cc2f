from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from tvm.ir import IRModule
from tvm.relax import op

from rtcompile.relay_passes.kernels.lift_products import lift_products
from tests.relay_passes.evaluate import Array, evaluate
from tests.relay_passes.modules import (
    EXACT,
    ROWS,
    Emit,
    arrays,
    assert_rewrites,
    assert_stays,
    const,
    kernel,
    network,
    run,
    weight,
)

W, B, ZEROS = weight(3, 2), np.array([0.5, -1], np.float32), np.zeros(2, np.float32)


def _layer(shape: tuple[Any, ...] = ("n", 3), **keys: Any) -> IRModule:
    def body(emit: Emit, x: Any) -> Any:
        return op.nn.relu(emit(op.add(emit(op.matmul(x, const(W))), const(B))))

    return network({"x": shape}, body, **keys)


@pytest.mark.parametrize("shape", [("n", 3), ("n", 4, 3)])
def test_only_the_product_is_drawn_in(shape: tuple[Any, ...]) -> None:
    def body(emit: Emit, x: Any) -> Any:
        product = emit(kernel("rtc.dense", (x, const(W), const(ZEROS)), x, *shape[1:-1], 2))
        return op.nn.relu(emit(op.add(product, const(B))))

    assert_rewrites(lift_products, _layer(shape), network({"x": shape}, body))


def test_products_of_two_tensors_stay() -> None:
    shapes = {"x": ("n", 2, 3), "y": ("n", 3, 2)}
    assert_stays(lift_products, network(shapes, lambda emit, x, y: op.matmul(x, y)))


def test_another_type_is_refused() -> None:
    mod = network(
        {"x": ("n", 3)},
        lambda emit, x: op.matmul(x, const(W, "float64")),
        dtypes={"x": "float64"},
    )
    assert_stays(lift_products, mod, "matmul of float64 by float64")


@given(x=arrays(ROWS, 3, values=EXACT))
def test_the_value_stays(x: Array) -> None:
    after, _ = run(lift_products, _layer())
    np.testing.assert_array_equal(evaluate(after, x)[0], evaluate(_layer(), x)[0])
