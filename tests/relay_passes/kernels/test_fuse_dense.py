from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from tvm.ir import IRModule
from tvm.relax import op

from rtcompile.relay_passes.kernels.fuse_dense import fuse_dense
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
_ACTIVATIONS = {
    "maximum acc 0.0": op.nn.relu,
    "sigmoid acc": op.sigmoid,
    "tanh acc": op.tanh,
    "sigmoid acc; multiply acc s0": op.nn.silu,
    "greater acc 0.0; multiply acc 0.25; where s0 acc s1": lambda x: op.nn.leakyrelu(x, 0.25),
    "maximum acc 0.0; minimum s0 6.0": lambda x: op.clip(x, 0, 6),
}
_FORMS = {
    "each": ("n", 4, 2),
    "div4": ("n", 1, 2),
    "mod4": (1, 4, 2),
    "one": (1, 1, 2),
    "value": ("n", 4, 1),
}


def _layer(make: Any) -> IRModule:
    def body(emit: Emit, x: Any) -> Any:
        return make(emit(op.add(op.matmul(x, const(W)), const(B))))

    return network({"x": ("n", 3)}, body)


def _added(stream: tuple[Any, ...]) -> IRModule:
    def body(emit: Emit, x: Any, r: Any) -> Any:
        return op.nn.relu(op.add(op.add(op.matmul(x, const(W)), r), const(B)))

    return network({"x": ("n", 4, 3), "r": stream}, body)


def _cross_layer() -> IRModule:
    def body(emit: Emit, x: Any, x0: Any) -> Any:
        layer = op.add(op.matmul(x, const(weight(2, 2))), const(B))
        return op.add(op.multiply(x0, layer), x)

    return network({"x": ("n", 2), "x0": ("n", 2)}, body)


def _dice() -> IRModule:
    """p = sigmoid((x - mean) * scale);  alpha (1 - p) x + p x, per column."""
    alpha, mean, scale = ([0.25, -0.5], [0.5, 1], [2, 0.5])

    def body(emit: Emit, given: Any) -> Any:
        x = emit(op.add(op.matmul(given, const(W)), const(B)))
        p = emit(op.sigmoid(op.multiply(op.subtract(x, const(mean)), const(scale))))
        rest = op.multiply(op.multiply(const(alpha), op.subtract(const(1), p)), x)
        return op.add(rest, op.multiply(p, x))

    return network({"x": ("n", 3)}, body)


@pytest.mark.parametrize("steps", _ACTIVATIONS)
def test_a_layer_becomes_one_call(steps: str) -> None:
    def body(emit: Emit, x: Any) -> Any:
        return kernel(f"rtc.dense.{steps}", (x, const(W), const(B)), x, 2)

    assert_rewrites(fuse_dense, _layer(_ACTIVATIONS[steps]), network({"x": ("n", 3)}, body))


def test_a_bare_matmul_has_a_bias_of_zeros() -> None:
    before = network({"x": ("n", 3)}, lambda emit, x: op.matmul(x, const(W)))

    def body(emit: Emit, x: Any) -> Any:
        return kernel("rtc.dense", (x, const(W), const(np.zeros(2))), x, 2)

    assert_rewrites(fuse_dense, before, network({"x": ("n", 3)}, body))


@pytest.mark.parametrize("form", _FORMS)
def test_a_stream_is_read_by_its_form(form: str) -> None:
    def body(emit: Emit, x: Any, r: Any) -> Any:
        steps = f"add acc {form}:0; maximum s0 0.0"
        return kernel(f"rtc.dense.{steps}", (x, const(W), const(B), r), x, 4, 2)

    inputs = {"x": ("n", 4, 3), "r": _FORMS[form]}
    assert_rewrites(fuse_dense, _added(_FORMS[form]), network(inputs, body))


def test_a_cross_layer_is_one_call() -> None:
    def body(emit: Emit, x: Any, x0: Any) -> Any:
        steps = "multiply each:0 acc; add s0 each:1"
        return kernel(f"rtc.dense.{steps}", (x, const(weight(2, 2)), const(B), x0, x), x, 2)

    expected = network({"x": ("n", 2), "x0": ("n", 2)}, body)
    assert_rewrites(fuse_dense, _cross_layer(), expected)


def test_constants_of_columns_and_of_rows_are_streams() -> None:
    def before(emit: Emit, x: Any) -> Any:
        return op.multiply(op.add(op.matmul(x, const(W)), const(weight(4, 2))), const([[2, 3]]))

    def expected(emit: Emit, x: Any) -> Any:
        steps = "add acc mod4:0; multiply s0 row:1"
        fields = (x, const(W), const(np.zeros(2)), const(weight(4, 2)), const([[2, 3]]))
        return kernel(f"rtc.dense.{steps}", fields, x, 4, 2)

    inputs = {"x": ("n", 4, 3)}
    assert_rewrites(fuse_dense, network(inputs, before), network(inputs, expected))


def test_dice_is_one_call() -> None:
    after, report = run(fuse_dense, _dice())
    assert len(calls(after)) == 1
    assert calls(after)[0].startswith("rtc.dense.subtract acc row:0; multiply s0 row:1; sigmoid s1")
    assert report.applied == 1


def test_a_gate_is_part_of_the_layer_that_it_scales() -> None:
    def body(emit: Emit, x: Any, y: Any) -> Any:
        gate = op.sigmoid(op.matmul(y, const(W)))
        return op.multiply(op.matmul(x, const(W)), gate)

    after, report = run(fuse_dense, network({"x": ("n", 3), "y": ("n", 3)}, body))
    assert sorted(calls(after)) == ["rtc.dense.multiply acc each:0", "rtc.dense.sigmoid acc"] or (
        sorted(calls(after)) == ["rtc.dense", "rtc.dense.sigmoid acc; multiply each:0 s0"]
    )
    assert report.applied == 2


def test_two_layers_are_two_calls() -> None:
    def body(emit: Emit, x: Any) -> Any:
        hidden = op.nn.relu(op.add(op.matmul(x, const(W)), const(B)))
        return op.sigmoid(op.matmul(hidden, const(weight(2, 1))))

    after, report = run(fuse_dense, network({"x": ("n", 3)}, body))
    assert calls(after) == ["rtc.dense.maximum acc 0.0", "rtc.dense.sigmoid acc"]
    assert report.applied == 2


def test_fusion_ends_before_what_another_reads() -> None:
    def body(emit: Emit, x: Any) -> Any:
        product = emit(op.nn.relu(op.matmul(x, const(W))))
        return (op.tanh(product), op.sum(product, axis=1))

    after, report = run(fuse_dense, network({"x": ("n", 3)}, body))
    assert calls(after) == ["rtc.dense.maximum acc 0.0", "tanh", "sum"]
    assert report.applied == 1


def test_a_result_that_is_read_too_ends_the_fusion() -> None:
    def body(emit: Emit, x: Any) -> Any:
        product = emit(op.matmul(x, const(W)))
        return (product, op.nn.relu(product))

    after, report = run(fuse_dense, network({"x": ("n", 3)}, body))
    assert calls(after) == ["rtc.dense", "nn.relu"]
    assert report.applied == 1


def test_the_fifth_stream_is_read_outside() -> None:
    inputs = {"x": ("n", 3), **{f"r{i}": ("n", 2) for i in range(5)}}

    def body(emit: Emit, x: Any, *streams: Any) -> Any:
        total = op.matmul(x, const(W))
        for stream in streams:
            total = op.add(total, stream)
        return total

    after, report = run(fuse_dense, network(inputs, body))
    assert len(calls(after)) == 2
    assert calls(after)[1] == "add"
    assert report.applied == 1


def test_slopes_along_another_axis_stay_outside() -> None:
    def body(emit: Emit, x: Any) -> Any:
        return op.nn.prelu(op.matmul(x, const(W)), const([0.25, 0.5]), axis=1)

    after, report = run(fuse_dense, network({"x": ("n", 2, 3)}, body))
    assert calls(after) == ["rtc.dense", "nn.prelu"]
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


_ONE_OPERATOR = ("maximum acc 0.0", "sigmoid acc", "tanh acc")


@given(x=arrays(ROWS, 3))
@pytest.mark.parametrize("steps", _ONE_OPERATOR)
def test_a_layer_keeps_its_value(steps: str, x: Array) -> None:
    before = _layer(_ACTIVATIONS[steps])
    after, _ = run(fuse_dense, before)
    np.testing.assert_array_equal(evaluate(after, x)[0], evaluate(before, x)[0])


_LONG: dict[str, Any] = {
    "leaky": lambda x: op.where(op.less(x, const(0)), op.multiply(x, const(0.5)), x),
    "prelu": lambda x: op.nn.prelu(x, const([0.25, 0.5]), axis=1),
    "one slope": lambda x: op.nn.prelu(x, const([0.25]), axis=1),
    "elu": lambda x: op.add(
        op.multiply(const(-0.5), op.nn.relu(op.subtract(const(1), op.exp(x)))), op.nn.relu(x)
    ),
    "gelu": lambda x: op.multiply(
        op.multiply(x, op.add(op.erf(op.divide(x, const(2**0.5))), const(1))), const(0.5)
    ),
    "swish": lambda x: op.multiply(x, op.sigmoid(x)),
    "hard swish": lambda x: op.multiply(
        x, op.divide(op.minimum(op.maximum(op.add(x, const(3)), const(0)), const(6)), const(6))
    ),
    "softplus": lambda x: op.log(op.add(op.exp(x), const(1))),
    "cast": lambda x: op.multiply(op.astype(op.greater(x, const(1)), "float32"), x),
}


@given(x=arrays(ROWS, 3, values=EXACT))
@pytest.mark.parametrize("name", _LONG)
def test_a_long_epilogue_is_one_call_of_the_same_value(name: str, x: Array) -> None:
    before = _layer(_LONG[name])
    after, _ = run(fuse_dense, before)
    assert len(calls(after)) == 1
    np.testing.assert_array_equal(evaluate(after, x)[0], _reference(name, before, x))


def _reference(name: str, before: IRModule, x: Array) -> Array:
    """By the operators of the graph; PReLU by its definition."""
    if "slope" not in name and name != "prelu":
        return evaluate(before, x)[0]
    plain, _ = evaluate(_layer(lambda v: v), x)[0], None
    slopes = np.array([0.25, 0.5] if name == "prelu" else [0.25], np.float32)
    return np.where(plain > 0, plain, plain * slopes)


@given(x=arrays(ROWS, 3, values=EXACT))
def test_dice_keeps_its_value(x: Array) -> None:
    before = _dice()
    after, _ = run(fuse_dense, before)
    np.testing.assert_array_equal(evaluate(after, x)[0], evaluate(before, x)[0])


@given(x=arrays(ROWS, 2, values=EXACT), x0=arrays(ROWS, 2, values=EXACT))
def test_a_cross_layer_keeps_its_value(x: Array, x0: Array) -> None:
    before = _cross_layer()
    after, _ = run(fuse_dense, before)
    np.testing.assert_array_equal(evaluate(after, x, x0)[0], evaluate(before, x, x0)[0])


@given(x=arrays(ROWS, 4, 3, values=EXACT), r=arrays(ROWS, 4, 2, values=EXACT))
@pytest.mark.parametrize("form", _FORMS)
def test_a_stream_keeps_the_value(form: str, x: Array, r: Array) -> None:
    before = _added(_FORMS[form])
    after, _ = run(fuse_dense, before)
    shape = [ROWS if extent == "n" else extent for extent in _FORMS[form]]
    part = np.ascontiguousarray(r[: shape[0], : shape[1], : shape[2]])
    np.testing.assert_array_equal(evaluate(after, x, part)[0], evaluate(before, x, part)[0])


@given(x=arrays(ROWS, 1, 3, values=EXACT), r=arrays(ROWS, 4, 2, values=EXACT))
def test_a_stream_larger_than_the_product_is_added_outside(x: Array, r: Array) -> None:
    """The product is broadcast to it: no row of the stream belongs to a row of x."""
    inputs = {"x": ("n", 1, 3), "r": ("n", 4, 2)}
    before = network(inputs, lambda emit, x, r: op.add(op.matmul(x, const(W)), r))
    after, report = run(fuse_dense, before)
    assert calls(after) == ["rtc.dense", "add"]
    assert report.applied == 1
    np.testing.assert_array_equal(evaluate(after, x, r)[0], evaluate(before, x, r)[0])
