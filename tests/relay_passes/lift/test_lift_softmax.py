from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from tvm.relax import op

from rtcompile.relay_passes.lift.lift_softmax import lift_softmax
from tests.relay_passes.evaluate import Array, evaluate
from tests.relay_passes.modules import (
    ROWS,
    arrays,
    assert_rewrites,
    assert_stays,
    kernel,
    network,
    run,
)

_SHAPES = [(("n", 2, 3), -1), (("n", 3), 1), (("n", 3, 1), 1)]


@pytest.mark.parametrize(("shape", "axis"), _SHAPES)
def test_a_softmax_of_the_last_values_is_a_call(shape: tuple[Any, ...], axis: int) -> None:
    before = network({"x": shape}, lambda emit, x: op.nn.softmax(x, axis))
    expected = network({"x": shape}, lambda emit, x: kernel("rtc.softmax.3", (x,), x, *shape[1:]))
    assert_rewrites(lift_softmax, before, expected)


def test_an_axis_with_others_behind_is_refused() -> None:
    mod = network({"x": ("n", 3, 2)}, lambda emit, x: op.nn.softmax(x, 1))
    assert_stays(lift_softmax, mod, "softmax along axis 1")


def test_another_type_is_refused() -> None:
    mod = network({"x": ("n", 3)}, lambda emit, x: op.nn.softmax(x, 1), dtypes={"x": "float64"})
    assert_stays(lift_softmax, mod, "softmax of float64")


def test_its_logarithm_stays() -> None:
    assert_stays(lift_softmax, network({"x": ("n", 3)}, lambda emit, x: op.nn.log_softmax(x, 1)))


@given(x=arrays(ROWS, 3, 1))
def test_the_value_stays(x: Array) -> None:
    before = network({"x": ("n", 3, 1)}, lambda emit, x: op.nn.softmax(x, 1))
    after, _ = run(lift_softmax, before)
    np.testing.assert_array_equal(evaluate(after, x)[0], evaluate(before, x)[0])
