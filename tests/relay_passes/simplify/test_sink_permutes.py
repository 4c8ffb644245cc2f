from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from tvm.relax import op

from rtcompile.relay_passes.simplify.sink_permutes import sink_permutes
from tests.relay_passes.evaluate import Array, evaluate
from tests.relay_passes.modules import (
    EXACT,
    ROWS,
    Emit,
    arrays,
    assert_rewrites,
    assert_settled,
    assert_stays,
    calls,
    const,
    network,
    reshape,
    run,
    weight,
)

INPUTS = {"x": ("n", 2, 4), "y": ("n", 2, 4)}


def _swap(x: Any) -> Any:
    return op.permute_dims(x, [0, 2, 1])


def _chain(emit: Emit, x: Any, y: Any) -> Any:
    """What stands between two convolutions of width one."""
    biased = emit(op.add(emit(_swap(x)), const(weight(4, 1))))
    parts = emit(op.split(emit(op.nn.relu(biased)), 2, 1))
    return emit(_swap(emit(parts[0]))), emit(parts[1])


BODIES: list[tuple[Callable[..., Any], list[str]]] = [
    (lambda emit, x, y: op.nn.relu(emit(_swap(x))), ["nn.relu", "permute_dims"]),
    (lambda emit, x, y: op.add(emit(_swap(x)), const(weight(4, 1))), ["add", "permute_dims"]),
    (lambda emit, x, y: op.multiply(const(2), emit(_swap(x))), ["multiply", "permute_dims"]),
    (lambda emit, x, y: op.add(emit(_swap(x)), emit(_swap(y))), ["add", "permute_dims"]),
    (
        lambda emit, x, y: op.concat((emit(_swap(x)), emit(_swap(y))), 1),
        ["concat", "permute_dims"],
    ),
    (lambda emit, x, y: op.sum(emit(_swap(x)), [2]), ["sum"]),
    (lambda emit, x, y: op.sum(emit(_swap(emit(op.exp(x)))), [-2]), ["exp", "sum"]),
    (lambda emit, x, y: op.add(emit(_swap(emit(_swap(x)))), y), ["add"]),
    (_chain, ["add", "nn.relu", "split", "permute_dims"]),
]


@pytest.mark.parametrize(("body", "left"), BODIES)
def test_the_permute_comes_last(body: Callable[..., Any], left: list[str]) -> None:
    after, report = run(sink_permutes, network(INPUTS, body))
    assert calls(after) == left
    assert report.applied >= 1
    assert_settled(sink_permutes, after)


def test_a_bias_becomes_a_row() -> None:
    def before(emit: Emit, x: Any) -> Any:
        return op.add(emit(_swap(x)), const(weight(4, 1)))

    def expected(emit: Emit, x: Any) -> Any:
        return _swap(emit(op.add(x, const(weight(1, 4)))))

    inputs = {"x": ("n", 2, 4)}
    assert_rewrites(sink_permutes, network(inputs, before), network(inputs, expected))


@pytest.mark.parametrize(
    "body",
    [
        lambda emit, x, y: op.matmul(emit(_swap(x)), y),  # an operator over these axes
        lambda emit, x, y: op.nn.relu(
            emit(op.permute_dims(emit(reshape(x, 2, 2, 2)), [0, 2, 1, 3]))
        ),
        lambda emit, x, y: op.add(emit(_swap(x)), emit(reshape(y, 4, 2))),  # of another tensor
        lambda emit, x, y: op.concat((emit(_swap(x)), emit(reshape(y, 4, 2))), 1),
        lambda emit, x, y: reshape(emit(_swap(x)), 8),
        lambda emit, x, y: op.sum(emit(_swap(x)), [1, 2]),
    ],
)
def test_what_needs_the_order_stays(body: Callable[..., Any]) -> None:
    assert_stays(sink_permutes, network(INPUTS, body))


@given(x=arrays(ROWS, 2, 4, values=EXACT), y=arrays(ROWS, 2, 4, values=EXACT))
@pytest.mark.parametrize("body", [body for body, _ in BODIES])
def test_the_value_stays(body: Callable[..., Any], x: Array, y: Array) -> None:
    before = network(INPUTS, body)
    after, _ = run(sink_permutes, before)
    for got, want in zip(evaluate(after, x, y), evaluate(before, x, y), strict=True):
        np.testing.assert_array_equal(got, want)
