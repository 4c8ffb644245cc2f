from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from tvm import relax
from tvm.ir import IRModule
from tvm.relax import op

from rtcompile.relay_passes.simplify.view_reshapes import view_reshapes
from tests.relay_passes.evaluate import Array, evaluate
from tests.relay_passes.modules import (
    ROWS,
    arrays,
    assert_rewrites,
    assert_stays,
    batch_of,
    network,
    reshape,
    run,
)


def _views() -> IRModule:
    def body(emit: Any, x: Any) -> Any:
        return op.expand_dims(op.squeeze(x, [1]), [1, 3])

    return network({"x": ("n", 1, 4)}, body)


def test_squeeze_and_expand_dims_are_reshapes() -> None:
    expected = network({"x": ("n", 1, 4)}, lambda emit, x: reshape(emit(reshape(x, 4)), 1, 4, 1))
    assert_rewrites(view_reshapes, _views(), expected, applied=2)


def test_flatten_is_a_reshape() -> None:
    def body(emit: Any, x: Any) -> Any:
        return op.reshape(x, relax.ShapeExpr([batch_of(x) * 4]))

    before = network({"x": ("n", 4)}, lambda emit, x: op.flatten(x))
    assert_rewrites(view_reshapes, before, network({"x": ("n", 4)}, body))


@pytest.mark.parametrize(
    "move", [lambda x: op.permute_dims(x, [0, 2, 1]), lambda x: reshape(x, 4, 1)]
)
def test_what_moves_values_or_is_a_reshape_stays(move: Any) -> None:
    assert_stays(view_reshapes, network({"x": ("n", 1, 4)}, lambda emit, x: move(x)))


@given(x=arrays(ROWS, 1, 4))
def test_the_value_stays(x: Array) -> None:
    before = _views()
    after, _ = run(view_reshapes, before)
    np.testing.assert_array_equal(evaluate(after, x)[0], evaluate(before, x)[0])
