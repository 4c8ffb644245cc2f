from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from tvm.ir import IRModule
from tvm.relax import op

from rtcompile.relay_passes.simplify.matvec_to_matmul import matvec_to_matmul
from tests.relay_passes.evaluate import Array, evaluate
from tests.relay_passes.modules import (
    ROWS,
    arrays,
    assert_rewrites,
    assert_stays,
    const,
    network,
    reshape,
    run,
    weight,
)

W = weight(4, 3)


def _product(*source: Any) -> IRModule:
    return network({"x": source}, lambda emit, x: op.matmul(const(W), x))


def test_a_column_a_row_is_one_product_of_the_rows() -> None:
    def body(emit: Any, x: Any) -> Any:
        rows = emit(reshape(x, 3))
        return reshape(emit(op.matmul(rows, const(W.T))), 4, 1)

    assert_rewrites(matvec_to_matmul, _product("n", 3, 1), network({"x": ("n", 3, 1)}, body))


def test_more_than_a_column_is_refused() -> None:
    assert_stays(matvec_to_matmul, _product("n", 3, 2), "no column a row")


def test_a_matrix_that_is_an_input_stays() -> None:
    inputs = {"w": (4, 3), "x": ("n", 3, 1)}
    assert_stays(matvec_to_matmul, network(inputs, lambda emit, w, x: op.matmul(w, x)))


def test_a_product_by_a_matrix_from_the_right_stays() -> None:
    mod = network({"x": ("n", 4)}, lambda emit, x: op.matmul(x, const(W)))
    assert_stays(matvec_to_matmul, mod)


@given(x=arrays(ROWS, 3, 1))
def test_the_value_stays(x: Array) -> None:
    before = _product("n", 3, 1)
    after, _ = run(matvec_to_matmul, before)
    np.testing.assert_array_equal(evaluate(after, x)[0], evaluate(before, x)[0])
