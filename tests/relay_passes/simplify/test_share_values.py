from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from tvm.ir import IRModule
from tvm.relax import op

from rtcompile.relay_passes.pipeline import LIFT
from rtcompile.relay_passes.report import PassReport
from rtcompile.relay_passes.simplify.share_values import share_values
from tests.relay_passes.evaluate import Array, evaluate
from tests.relay_passes.modules import (
    ANY,
    ROWS,
    Emit,
    arrays,
    assert_rewrites,
    assert_settled,
    assert_stays,
    calls,
    const,
    kernel,
    network,
    reshape,
    run,
    weight,
)

X = {"x": ("n", 4)}
PAIR = {"x": ("n", 4), "y": ("n", 4)}
IDS = {"ids": ("n",)}


def test_a_view_of_a_view_is_one() -> None:
    def body(emit: Emit, x: Any) -> Any:
        return op.tanh(emit(reshape(emit(reshape(emit(reshape(x, 1, 4)), 4, 1)), 2, 2)))

    expected = network(X, lambda emit, x: op.tanh(emit(reshape(x, 2, 2))))
    assert_rewrites(share_values, network(X, body), expected, applied=2)


def test_a_view_of_the_same_shape_is_its_source() -> None:
    before = network(X, lambda emit, x: op.tanh(emit(reshape(emit(reshape(x, 2, 2)), 4))))
    after = network(X, lambda emit, x: op.tanh(x))
    assert_rewrites(share_values, before, after, applied=1)


def test_what_is_equal_behind_views_is_computed_once() -> None:
    def body(emit: Emit, x: Any) -> Any:
        one = emit(op.exp(emit(reshape(x, 2, 2))))
        other = emit(op.exp(emit(reshape(emit(reshape(x, 4, 1)), 2, 2))))
        return op.subtract(one, op.tanh(other))

    def once(emit: Emit, x: Any) -> Any:
        one = emit(op.exp(emit(reshape(x, 2, 2))))
        return op.subtract(one, emit(op.tanh(one)))

    # A view taken together, and two values shared: the view and what is computed of it.
    assert_rewrites(share_values, network(X, body), network(X, once), applied=3)


@pytest.mark.parametrize("operator", [op.add, op.multiply])
def test_the_order_of_operands_does_not_matter(operator: Any) -> None:
    def body(emit: Emit, x: Any, y: Any) -> Any:
        return op.subtract(emit(operator(x, y)), op.tanh(emit(operator(y, x))))

    def once(emit: Emit, x: Any, y: Any) -> Any:
        both = emit(operator(x, y))
        return op.subtract(both, emit(op.tanh(both)))

    assert_rewrites(share_values, network(PAIR, body), network(PAIR, once))


def _kernels(first: Array, second: Array) -> IRModule:
    """Two look-ups of the same ids, and a dense layer behind each."""

    def body(emit: Emit, ids: Any) -> Any:
        found = [
            emit(kernel("rtc.embedding_lookup", [const(table), ids], ids, 4))
            for table in (weight(5, 4), weight(5, 4))
        ]
        layers = [
            emit(kernel("rtc.dense", [source, const(w), const([0.0, 0.0])], ids, 2))
            for source, w in zip(found, (first, second), strict=True)
        ]
        return op.concat(layers, 1)

    return network(IDS, body, dtypes={"ids": "int64"})


def test_equal_look_ups_and_dense_layers_are_one() -> None:
    after, report = run(share_values, _kernels(weight(4, 2), weight(4, 2)))
    assert calls(after) == ["rtc.embedding_lookup", "rtc.dense", "concat"]
    assert report.applied == 2
    assert_settled(share_values, after)


def test_layers_of_other_weights_stay() -> None:
    after, report = run(share_values, _kernels(weight(4, 2), weight(4, 2) + 1))
    assert calls(after) == ["rtc.embedding_lookup", "rtc.dense", "rtc.dense", "concat"]
    assert report.applied == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (op.subtract, lambda x, y: op.subtract(y, x)),
        (op.divide, lambda x, y: op.divide(y, x)),
        (op.add, lambda x, y: op.multiply(y, x)),
        (op.add, lambda x, y: op.add(y, y)),
        (lambda x, y: reshape(x, 2, 2), lambda x, y: reshape(x, 4, 1)),
        (lambda x, y: reshape(x, 2, 2), lambda x, y: reshape(y, 2, 2)),
    ],
)
def test_what_differs_stays(one: Any, other: Any) -> None:
    assert_stays(share_values, network(PAIR, lambda emit, x, y: (one(x, y), other(x, y))))


def _network(emit: Emit, x: Any, y: Any) -> Any:
    one, other = emit(op.add(x, y)), emit(op.add(y, x))
    view = emit(reshape(emit(reshape(one, 1, 4)), 2, 2))
    again = emit(op.exp(emit(reshape(other, 2, 2))))
    return op.multiply(emit(op.exp(view)), again)


@given(x=arrays(ROWS, 4, values=ANY), y=arrays(ROWS, 4, values=ANY))
def test_the_value_stays(x: Array, y: Array) -> None:
    after, _ = run(share_values, _BEFORE)
    assert calls(after) == ["add", "reshape", "exp", "multiply"]
    with np.errstate(all="ignore"):
        wanted, got = evaluate(_BEFORE, x, y)[0], evaluate(after, x, y)[0]
    np.testing.assert_array_equal(got, wanted)


_BEFORE = network(PAIR, _network)


def test_lifted_kernels_hold_nothing_twice() -> None:
    """Equal layers are one before they are lifted, so that nothing is left to share after."""

    def body(emit: Emit, x: Any, y: Any) -> Any:
        towers = [
            emit(op.nn.relu(emit(op.matmul(source, const(weight(4, 2))))))
            for source in (emit(op.add(x, y)), emit(op.add(y, x)))
        ]
        return op.concat(towers, 1)

    mod, _ = run(share_values, network(PAIR, body))
    for graph_pass in LIFT:
        mod = graph_pass(mod, PassReport(graph_pass.__name__))
    assert sum(name.startswith("rtc.dense") for name in calls(mod)) == 1
    assert_stays(share_values, mod)
