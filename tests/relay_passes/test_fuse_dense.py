from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from tvm.ir import IRModule
from tvm.relax import op

from relay_passes.fuse_dense import fuse_dense
from tests.relay_passes.evaluate import Array, evaluate
from tests.relay_passes.modules import (
    EXACT,
    ROWS,
    Emit,
    arrays,
    assert_rewrites,
    assert_stays,
    calls,
    const,
    kernel,
    network,
    run,
    weight,
)

W, B = weight(3, 2), np.array([0.5, -1], np.float32)
_ACTIVATIONS = {"relu": op.nn.relu, "sigmoid": op.sigmoid, "tanh": op.tanh}


def _layer(activation: str) -> IRModule:
    def body(emit: Emit, x: Any) -> Any:
        return _ACTIVATIONS[activation](op.add(op.matmul(x, const(W)), const(B)))

    return network({"x": ("n", 3)}, body)


def _added(addend: tuple[Any, ...]) -> IRModule:
    def body(emit: Emit, x: Any, r: Any) -> Any:
        return op.nn.relu(op.add(op.add(op.matmul(x, const(W)), r), const(B)))

    return network({"x": ("n", 4, 3), "r": addend}, body)


_ADDENDS = {
    "each": ("n", 4, 2),
    "div4": ("n", 1, 2),
    "mod4": (1, 4, 2),
    "one": (1, 1, 2),
}


@pytest.mark.parametrize("activation", _ACTIVATIONS)
def test_a_layer_becomes_one_call(activation: str) -> None:
    def body(emit: Emit, x: Any) -> Any:
        return kernel(f"rtc.dense.{activation}", (x, const(W), const(B)), x, 2)

    assert_rewrites(fuse_dense, _layer(activation), network({"x": ("n", 3)}, body))


def test_a_bare_matmul_has_a_bias_of_zeros() -> None:
    before = network({"x": ("n", 3)}, lambda emit, x: op.matmul(x, const(W)))

    def body(emit: Emit, x: Any) -> Any:
        return kernel("rtc.dense.none", (x, const(W), const(np.zeros(2))), x, 2)

    assert_rewrites(fuse_dense, before, network({"x": ("n", 3)}, body))


@pytest.mark.parametrize("form", _ADDENDS)
def test_an_addend_is_read_by_its_form(form: str) -> None:
    def body(emit: Emit, x: Any, r: Any) -> Any:
        return kernel(f"rtc.dense.relu.{form}", (x, const(W), const(B), r), x, 4, 2)

    inputs = {"x": ("n", 4, 3), "r": _ADDENDS[form]}
    assert_rewrites(fuse_dense, _added(_ADDENDS[form]), network(inputs, body))


def test_two_layers_are_two_calls() -> None:
    def body(emit: Emit, x: Any) -> Any:
        hidden = op.nn.relu(op.add(op.matmul(x, const(W)), const(B)))
        return op.sigmoid(op.matmul(hidden, const(weight(2, 1))))

    after, report = run(fuse_dense, network({"x": ("n", 3)}, body))
    assert calls(after) == ["rtc.dense.relu", "rtc.dense.sigmoid"]
    assert report.applied == 2


def test_fusion_ends_before_what_another_reads() -> None:
    def body(emit: Emit, x: Any) -> Any:
        product = emit(op.matmul(x, const(W)))
        return op.multiply(op.nn.relu(product), product)

    after, report = run(fuse_dense, network({"x": ("n", 3)}, body))
    assert calls(after) == ["rtc.dense.none", "nn.relu", "multiply"]
    assert report.applied == 1


def test_the_fourth_addend_is_added_outside() -> None:
    def body(emit: Emit, x: Any, r: Any) -> Any:
        total = op.matmul(x, const(W))
        for _ in range(4):
            total = op.add(total, r)
        return total

    after, report = run(fuse_dense, network({"x": ("n", 3), "r": ("n", 2)}, body))
    assert calls(after) == ["rtc.dense.none.each.each.each", "add"]
    assert report.applied == 1


def test_a_product_of_two_inputs_stays() -> None:
    inputs = {"x": ("n", 4, 3), "y": ("n", 3, 2)}
    assert_stays(fuse_dense, network(inputs, lambda emit, x, y: op.matmul(x, y)))


def test_another_type_is_refused() -> None:
    mod = network(
        {"x": ("n", 3)},
        lambda emit, x: op.nn.relu(op.matmul(x, const(W, "float64"))),
        dtypes={"x": "float64"},
    )
    assert_stays(fuse_dense, mod, "matmul of float64 by float64")


@given(x=arrays(ROWS, 3))
@pytest.mark.parametrize("activation", _ACTIVATIONS)
def test_a_layer_keeps_its_value(activation: str, x: Array) -> None:
    before = _layer(activation)
    after, _ = run(fuse_dense, before)
    np.testing.assert_array_equal(evaluate(after, x)[0], evaluate(before, x)[0])


@given(x=arrays(ROWS, 4, 3, values=EXACT), r=arrays(ROWS, 4, 2, values=EXACT))
@pytest.mark.parametrize("form", _ADDENDS)
def test_an_addend_keeps_the_value(form: str, x: Array, r: Array) -> None:
    before = _added(_ADDENDS[form])
    after, _ = run(fuse_dense, before)
    shape = [ROWS if extent == "n" else extent for extent in _ADDENDS[form]]
    part = np.ascontiguousarray(r[: shape[0], : shape[1]])
    np.testing.assert_array_equal(evaluate(after, x, part)[0], evaluate(before, x, part)[0])


@given(x=arrays(ROWS, 1, 3, values=EXACT), r=arrays(ROWS, 4, 2, values=EXACT))
def test_an_addend_larger_than_the_product_is_added_outside(x: Array, r: Array) -> None:
    """The product is broadcast to it: no row of the addend belongs to a row of x."""
    inputs = {"x": ("n", 1, 3), "r": ("n", 4, 2)}
    before = network(inputs, lambda emit, x, r: op.add(op.matmul(x, const(W)), r))
    after, report = run(fuse_dense, before)
    assert calls(after) == ["rtc.dense.none", "add"]
    assert report.applied == 1
    np.testing.assert_array_equal(evaluate(after, x, r)[0], evaluate(before, x, r)[0])
