from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from tvm.ir import IRModule
from tvm.relax import op

from rtcompile.relay_passes.simplify.lower_unit_axes import lower_unit_axes
from tests.relay_passes.evaluate import Array, evaluate
from tests.relay_passes.modules import (
    ROWS,
    Emit,
    arrays,
    assert_rewrites,
    assert_stays,
    const,
    network,
    reshape,
    run,
)

B = np.array([1, -2, 0.5, 4], np.float32)
_UNARY = {"tanh": op.tanh, "sigmoid": op.sigmoid, "exp": op.exp, "relu": op.nn.relu}
_BINARY = {"add": op.add, "subtract": op.subtract, "multiply": op.multiply}
X, XY = {"x": ("n", 4)}, {"x": ("n", 4), "y": ("n", 4)}


def _chain() -> IRModule:
    def body(emit: Emit, x: Any, y: Any) -> Any:
        column = emit(reshape(x, 4, 1))
        moved = emit(op.add(column, const(B[:, None])))
        return op.multiply(op.tanh(op.multiply(moved, const(2))), emit(reshape(y, 4, 1)))

    return network(XY, body)


@pytest.mark.parametrize("name", _UNARY)
def test_a_function_of_a_column_is_one_of_the_row(name: str) -> None:
    before = network(X, lambda emit, x: _UNARY[name](reshape(x, 4, 1)))
    expected = network(X, lambda emit, x: reshape(emit(_UNARY[name](x)), 4, 1))
    assert_rewrites(lower_unit_axes, before, expected)


@pytest.mark.parametrize("constant", [B[:, None], B[None, :, None], np.float32(2)])
@pytest.mark.parametrize("name", _BINARY)
def test_a_constant_loses_the_axis_too(name: str, constant: Any) -> None:
    flat = B if constant.size > 1 else constant
    before = network(X, lambda emit, x: _BINARY[name](reshape(x, 4, 1), const(constant)))
    expected = network(X, lambda emit, x: reshape(emit(_BINARY[name](x, const(flat))), 4, 1))
    assert_rewrites(lower_unit_axes, before, expected)


@pytest.mark.parametrize("name", _BINARY)
def test_two_columns_keep_their_order(name: str) -> None:
    def body(emit: Emit, x: Any, y: Any) -> Any:
        return _BINARY[name](reshape(y, 4, 1), reshape(x, 4, 1))

    expected = network(XY, lambda emit, x, y: reshape(emit(_BINARY[name](y, x)), 4, 1))
    assert_rewrites(lower_unit_axes, network(XY, body), expected)


def test_a_chain_goes_in_one_sweep() -> None:
    def body(emit: Emit, x: Any, y: Any) -> Any:
        moved = op.multiply(op.add(x, const(B)), const(2))
        return reshape(emit(op.multiply(op.tanh(moved), y)), 4, 1)

    assert_rewrites(lower_unit_axes, _chain(), network(XY, body), applied=4)


@pytest.mark.parametrize(
    "body",
    [
        lambda emit, x: op.tanh(reshape(x, 2, 2)),  # no axis of one
        lambda emit, x: op.tanh(reshape(x, 1, 4)),  # it stands before
        lambda emit, x: op.negative(reshape(x, 4, 1)),  # another operator
        lambda emit, x: op.add(reshape(x, 4, 1), const(B[None, None])),  # broadcast over it
        lambda emit, x: op.tanh(op.add(x, const(B))),  # nothing is added
    ],
)
def test_another_form_stays(body: Any) -> None:
    assert_stays(lower_unit_axes, network(X, body))


@given(x=arrays(ROWS, 4), y=arrays(ROWS, 4))
def test_the_value_stays(x: Array, y: Array) -> None:
    before = _chain()
    after, _ = run(lower_unit_axes, before)
    np.testing.assert_array_equal(evaluate(after, x, y)[0], evaluate(before, x, y)[0])
