from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from tvm.ir import IRModule
from tvm.relax import op

from rtcompile.relay_passes.simplify.fold_affines import fold_affines
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

W = weight(4, 2)
# Powers of two: what the pass computes at build time is exact too.
MEAN, DEVIATION = [0.5, 1, -1, 2], [0.5, 2, 4, 1]
GAMMA, BETA = [2, 1, 0.5, -1], [1, 0, -0.5, 0.25]
SCALE = np.array(GAMMA) / np.array(DEVIATION)
SHIFT = np.array(BETA) - np.array(MEAN) * SCALE


def _norm(x: Any, at: slice = slice(None)) -> Any:
    """Batch normalisation as the importer takes it apart."""
    centred = op.divide(op.subtract(x, const([MEAN[at]])), const([DEVIATION[at]]))
    return op.add(op.multiply(centred, const([GAMMA[at]])), const([BETA[at]]))


def _before_a_layer() -> IRModule:
    return network({"x": ("n", 4)}, lambda emit, x: op.matmul(_norm(x), const(W)))


def _behind_a_layer() -> IRModule:
    def body(emit: Emit, x: Any) -> Any:
        layer = op.add(op.matmul(x, const(W)), const([1, 2]))
        scaled = op.divide(op.subtract(layer, const([0.5, 1])), const([0.5, 2]))
        return op.nn.relu(op.add(op.multiply(scaled, const([4, 1])), const([0, 8])))

    return network({"x": ("n", 4)}, body)


def _joined() -> IRModule:
    """A normalised part beside another one, and the layers that alone read them."""

    def body(emit: Emit, x: Any, y: Any) -> Any:
        both = emit(op.concat([_norm(x), y], axis=-1))
        wide = const(weight(6, 2))
        return (op.matmul(both, wide), op.nn.relu(op.matmul(both, const(weight(6, 3)))))

    return network({"x": ("n", 4), "y": ("n", 2)}, body)


def _reshaped() -> IRModule:
    """Normalised by channel, flattened, then a layer."""

    def body(emit: Emit, x: Any) -> Any:
        scaled = op.add(op.multiply(x, const([[2], [4]])), const([[1], [-1]]))
        return op.matmul(reshape(emit(scaled), 4), const(W))

    return network({"x": ("n", 2, 2)}, body)


def _permuted() -> IRModule:
    def body(emit: Emit, x: Any) -> Any:
        scaled = op.multiply(x, const(np.array([[2], [4], [1], [0.5]])))
        return op.matmul(op.permute_dims(scaled, [0, 2, 1]), const(W))

    return network({"x": ("n", 4, 3)}, body)


def test_a_normalisation_before_a_layer_is_in_its_matrix() -> None:
    def body(emit: Emit, x: Any) -> Any:
        return op.add(op.matmul(x, const(SCALE[:, None] * W)), const(SHIFT @ W))

    assert_rewrites(fold_affines, _before_a_layer(), network({"x": ("n", 4)}, body), applied=2)


def test_a_normalisation_behind_a_layer_is_in_its_matrix() -> None:
    def body(emit: Emit, x: Any) -> Any:
        product = op.matmul(x, const(W * np.array([8, 0.5])))
        return op.nn.relu(op.add(product, const([4, 8.5])))

    assert_rewrites(fold_affines, _behind_a_layer(), network({"x": ("n", 4)}, body))


def test_layers_fold_what_they_read_through_a_concat() -> None:
    after, report = run(fold_affines, _joined())
    assert calls(after) == ["concat", "matmul", "add", "concat", "matmul", "add", "nn.relu"]
    assert report.applied >= 2
    assert_settled(fold_affines, after)


@pytest.mark.parametrize("make", [_reshaped, _permuted])
def test_layers_fold_what_they_read_through_a_layout(make: Any) -> None:
    after, report = run(fold_affines, make())
    assert not {"multiply", "divide"} & set(calls(after))
    assert report.applied == 1
    assert_settled(fold_affines, after)


def test_a_long_chain_alone_becomes_two_operators() -> None:
    before = network({"x": ("n", 4)}, lambda emit, x: op.nn.relu(_norm(x)))

    def body(emit: Emit, x: Any) -> Any:
        return op.nn.relu(op.add(op.multiply(x, const([SCALE])), const([SHIFT])))

    after, report = run(fold_affines, before)
    assert calls(after) == ["multiply", "add", "nn.relu"]
    assert report.applied == 1
    assert_settled(fold_affines, after)
    x = np.ones((ROWS, 4), np.float32)
    expected = evaluate(network({"x": ("n", 4)}, body), x)
    np.testing.assert_array_equal(evaluate(after, x)[0], expected[0])


def test_a_sum_that_another_reads_is_not_scaled() -> None:
    def body(emit: Emit, x: Any) -> Any:
        product = emit(op.matmul(x, const(W)))
        return (op.multiply(product, const([2, 4])), op.nn.relu(product))

    assert_stays(fold_affines, network({"x": ("n", 4)}, body))


def test_a_concat_that_another_reads_stays() -> None:
    def body(emit: Emit, x: Any, y: Any) -> Any:
        both = emit(op.concat([op.multiply(x, const([2, 4])), y], axis=-1))
        return (op.matmul(both, const(W)), op.nn.relu(both))

    assert_stays(fold_affines, network({"x": ("n", 2), "y": ("n", 2)}, body))


def test_a_scale_that_is_not_finite_stays() -> None:
    def body(emit: Emit, x: Any) -> Any:
        return op.multiply(op.matmul(x, const(W)), const([np.inf, 1]))

    assert_stays(fold_affines, network({"x": ("n", 4)}, body), "not finite")


def test_scales_that_differ_by_row_stay() -> None:
    def body(emit: Emit, x: Any) -> Any:
        return op.matmul(op.multiply(x, const([[2], [4]])), const(W))

    mod = network({"x": ("n", 2, 4)}, body)
    assert_stays(fold_affines, mod, "differ along another axis")


def test_a_difference_that_would_be_lost_stays() -> None:
    """A time of seconds since 1970, less its mean: folded, the difference would be rounded away."""

    def body(emit: Emit, x: Any) -> Any:
        return op.matmul(op.divide(op.subtract(x, const(1.7e9)), const(1e5)), const(W))

    assert_stays(fold_affines, network({"x": ("n", 4)}, body), "would lose the difference")


@given(x=arrays(ROWS, 4, values=EXACT))
@pytest.mark.parametrize("make", [_before_a_layer, _behind_a_layer])
def test_a_layer_keeps_its_value(make: Any, x: Array) -> None:
    before = make()
    after, _ = run(fold_affines, before)
    np.testing.assert_allclose(evaluate(after, x)[0], evaluate(before, x)[0], rtol=1e-5, atol=1e-4)


@given(x=arrays(ROWS, 4, values=EXACT), y=arrays(ROWS, 2, values=EXACT))
def test_a_concat_keeps_the_value(x: Array, y: Array) -> None:
    before = _joined()
    after, _ = run(fold_affines, before)
    for got, wanted in zip(evaluate(after, x, y), evaluate(before, x, y), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-3)


@given(x=arrays(ROWS, 4, 3, values=EXACT))
def test_layouts_keep_the_value(x: Array) -> None:
    for make, shape in ((_reshaped, (ROWS, 2, 2)), (_permuted, (ROWS, 4, 3))):
        before, given_ = make(), np.ascontiguousarray(x[:, : shape[1], : shape[2]])
        after, _ = run(fold_affines, before)
        wanted = evaluate(before, given_)[0]
        np.testing.assert_allclose(evaluate(after, given_)[0], wanted, rtol=1e-5, atol=1e-3)


def test_a_matrix_with_infinity_stays() -> None:
    """A shift of 0 times infinity would be NaN in every row."""
    wide = W.copy()
    wide[1, 0] = np.inf

    def body(emit: Emit, x: Any) -> Any:
        return op.matmul(emit(op.multiply(x, const([0.5, 1, 2, 4]))), const(wide))

    assert_stays(fold_affines, network({"x": ("n", 4)}, body), "not finite")
