from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from tvm.ir import IRModule
from tvm.relax import op

from rtcompile.relay_passes.simplify.pointwise_conv_to_matmul import pointwise_conv_to_matmul
from tests.relay_passes.evaluate import Array, evaluate
from tests.relay_passes.modules import (
    ROWS,
    arrays,
    assert_rewrites,
    assert_stays,
    const,
    network,
    run,
    weight,
)


def _conv(kernel: tuple[int, ...] = (2, 4, 1), **attrs: Any) -> IRModule:
    def body(emit: Any, x: Any) -> Any:
        return op.nn.conv1d(x, const(weight(*kernel)), **attrs)

    return network({"x": ("n", 4, 5)}, body)


def test_a_convolution_of_width_one_is_a_matmul() -> None:
    def body(emit: Any, x: Any) -> Any:
        rows = op.permute_dims(x, [0, 2, 1])
        return op.permute_dims(op.matmul(rows, const(weight(2, 4).T)), [0, 2, 1])

    assert_rewrites(pointwise_conv_to_matmul, _conv(), network({"x": ("n", 4, 5)}, body))


@pytest.mark.parametrize(
    ("kernel", "attrs", "reason"),
    [
        ((2, 4, 3), {}, "the kernel is 3 wide"),
        ((2, 4, 1), {"strides": 2}, "groups or a stride"),
        ((2, 2, 1), {"groups": 2}, "groups or a stride"),
        ((2, 4, 1), {"padding": 1}, "padding or another layout"),
    ],
)
def test_another_convolution_is_refused(
    kernel: tuple[int, ...], attrs: dict[str, int], reason: str
) -> None:
    assert_stays(pointwise_conv_to_matmul, _conv(kernel, **attrs), reason)


def test_a_kernel_that_is_an_input_is_refused() -> None:
    inputs = {"x": ("n", 4, 5), "w": (2, 4, 1)}
    mod = network(inputs, lambda emit, x, w: op.nn.conv1d(x, w))
    assert_stays(pointwise_conv_to_matmul, mod, "not a constant")


@given(x=arrays(ROWS, 4, 5))
def test_the_value_stays(x: Array) -> None:
    before = _conv()
    after, _ = run(pointwise_conv_to_matmul, before)
    np.testing.assert_array_equal(evaluate(after, x)[0], evaluate(before, x)[0])
