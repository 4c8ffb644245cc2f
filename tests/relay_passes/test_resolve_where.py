from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from tvm.ir import IRModule
from tvm.relax import op

from relay_passes.resolve_where import resolve_where
from tests.relay_passes.evaluate import Array, evaluate
from tests.relay_passes.modules import (
    ROWS,
    Emit,
    arrays,
    assert_rewrites,
    assert_stays,
    const,
    network,
    run,
)

INPUTS = {"x": ("n", 2), "y": ("n", 2)}


def _where(*condition: bool) -> IRModule:
    def body(emit: Emit, x: Any, y: Any) -> Any:
        chosen = emit(op.where(const(condition, "bool"), emit(op.exp(x)), y))
        return op.add(chosen, y)

    return network(INPUTS, body)


def test_of_true_the_first_is_left() -> None:
    def expected(emit: Emit, x: Any, y: Any) -> Any:
        return op.add(emit(op.exp(x)), y)

    assert_rewrites(resolve_where, _where(True, True), network(INPUTS, expected))


def test_of_false_the_second_is_left() -> None:
    expected = network(INPUTS, lambda emit, x, y: op.add(y, y))
    assert_rewrites(resolve_where, _where(False, False), expected)


@pytest.mark.parametrize(
    "body",
    [
        lambda emit, x, y: op.where(const([True, False], "bool"), x, y),  # some of each
        lambda emit, x, y: op.where(emit(op.less(x, y)), x, y),  # not a constant
        lambda emit, x, y: op.where(const([True, True], "bool"), const(1), y),  # it is broadcast
    ],
)
def test_another_stays(body: Any) -> None:
    assert_stays(resolve_where, network(INPUTS, body))


@given(x=arrays(ROWS, 2), y=arrays(ROWS, 2))
@pytest.mark.parametrize("condition", [True, False])
def test_the_value_stays(condition: bool, x: Array, y: Array) -> None:
    mod = _where(condition, condition)
    after, _ = run(resolve_where, mod)
    np.testing.assert_array_equal(evaluate(after, x, y)[0], evaluate(mod, x, y)[0])
