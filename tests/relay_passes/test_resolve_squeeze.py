from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from tvm import relax
from tvm.relax import op

from relay_passes.resolve_squeeze import resolve_squeeze
from tests.relay_passes.evaluate import Array, evaluate
from tests.relay_passes.modules import (
    ROWS,
    arrays,
    assert_rewrites,
    assert_stays,
    network,
    run,
)


@pytest.mark.parametrize(
    ("shape", "axes"), [(("n", 1, 4), [1]), (("n", 1, 4, 1), [1, 3]), (("n", 4), [])]
)
def test_a_squeeze_gets_the_axes_of_extent_one(shape: tuple[Any, ...], axes: list[int]) -> None:
    before = network({"x": shape}, lambda emit, x: op.squeeze(x))
    expected = network({"x": shape}, lambda emit, x: op.squeeze(x, axes))
    assert_rewrites(resolve_squeeze, before, expected)


def test_a_squeeze_with_axes_stays() -> None:
    assert_stays(
        resolve_squeeze, network({"x": ("n", 1, 4, 1)}, lambda emit, x: op.squeeze(x, [1]))
    )


def test_an_unknown_shape_is_refused() -> None:
    x = relax.Var("x", relax.TensorType(dtype="float32", ndim=3))
    builder = relax.BlockBuilder()
    with builder.function("main", [x]):
        with builder.dataflow():
            output = builder.emit_output(op.squeeze(x))
        builder.emit_func_output(output)
    assert_stays(resolve_squeeze, builder.get(), "unknown shape")


@given(x=arrays(ROWS, 1, 4))
def test_the_value_is_numpys(x: Array) -> None:
    before = network({"x": ("n", 1, 4)}, lambda emit, x: op.squeeze(x))
    after, _ = run(resolve_squeeze, before)
    np.testing.assert_array_equal(evaluate(after, x)[0], x.squeeze())
