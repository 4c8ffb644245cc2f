from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tvm
from hypothesis import given
from hypothesis import strategies as st
from tvm import relax
from tvm.ir import IRModule
from tvm.relax import op

from rtcompile.relay_passes.kernels.fuse_dense import fuse_dense
from rtcompile.relay_passes.kernels.gather_blocks import gather_blocks
from rtcompile.relay_passes.kernels.precision import LayerPrecision, Mode, PrecisionPlan
from rtcompile.relay_passes.kernels.quantize_dense import (
    describe_layers,
    quantize_dense,
    quantize_weight,
)
from rtcompile.relay_passes.report import PassReport
from tests.relay_passes.evaluate import Array, evaluate
from tests.relay_passes.modules import (
    Emit,
    arrays,
    assert_settled,
    calls,
    const,
    kernel,
    network,
    run,
    weight,
)

DEPTH, COLUMNS, ROWS = 18, 20, 3
W, B = weight(DEPTH, COLUMNS) / 16, np.linspace(-1, 1, COLUMNS, dtype=np.float32)
STATIC = LayerPrecision("int8", 0.05, 40)
DYNAMIC = LayerPrecision("int8")
VALUES = st.floats(-2, 8, width=32)


def graph_pass(plan: PrecisionPlan) -> Callable[[IRModule, PassReport], IRModule]:
    def apply(mod: IRModule, report: PassReport) -> IRModule:
        report.stage = "cross"
        return quantize_dense(mod, report, plan)

    apply.__name__ = "quantize_dense"
    return apply


def only(precision: LayerPrecision) -> Callable[[IRModule, PassReport], IRModule]:
    return graph_pass(PrecisionPlan({"cross/0": precision}))


def layer(epilogue: str = "maximum acc 0.0", relu_before: bool = False) -> IRModule:
    name = f"rtc.dense.{epilogue}" if epilogue else "rtc.dense"

    def body(emit: Emit, x: Any) -> Any:
        given = emit(op.nn.relu(x)) if relu_before else x
        return kernel(name, [given, const(W), const(B)], x, COLUMNS)

    return network({"x": ("n", DEPTH)}, body)


def test_a_layer_with_a_known_range_reads_bytes() -> None:
    def expected(emit: Emit, x: Any) -> Any:
        q = _typed(emit, "rtc.quantize.static", [x, const([1 / 0.05, 40])], x, ((20, "uint8"),))
        rounded, scale = quantize_weight(W)
        fields = [
            q,
            relax.const(rounded),
            relax.const(np.int32(-40) * rounded.astype(np.int32).sum(axis=0, dtype=np.int32)),
            const(np.float32(0.05) * scale),
            const(B),
        ]
        return kernel("rtc.dense_int8.static.float32.maximum acc 0.0", fields, x, COLUMNS)

    after, report = run(only(STATIC), layer())
    tvm.ir.assert_structural_equal(after, network({"x": ("n", DEPTH)}, expected))
    assert report.applied == 1
    assert_settled(only(STATIC), after)


def _typed(emit: Emit, name: str, fields: list[Any], x: Any, results: Any) -> Any:
    extents = list(x.ty.shape.values)[:-1]
    types = [relax.TensorType([*extents, width], dtype) for width, dtype in results]
    out = types[0] if len(types) == 1 else types
    return emit(relax.op.call_dps_packed(name, relax.Tuple(fields), out_ty=out))


@pytest.mark.parametrize(
    ("precision", "relu_before", "names"),
    [
        (DYNAMIC, False, ["rtc.quantize.signed", "rtc.dense_int8.dynamic.float32.tanh acc"]),
        (DYNAMIC, True, ["rtc.quantize.unsigned", "rtc.dense_int8.dynamic.float32.tanh acc"]),
        (LayerPrecision("bf16"), False, ["rtc.to_bf16", "rtc.dense_bf16.float32.tanh acc"]),
    ],
)
def test_other_forms(precision: LayerPrecision, relu_before: bool, names: list[str]) -> None:
    after, report = run(only(precision), layer("tanh acc", relu_before))
    assert calls(after)[-2:] == names
    assert report.applied == 1
    assert_settled(only(precision), after)


@pytest.mark.parametrize(("second", "form"), [(op.sigmoid, "unsigned"), (op.tanh, "signed")])
def test_joined_parts_that_are_never_negative_use_all_steps(
    second: Callable[[Any], Any], form: str
) -> None:
    half = DEPTH // 2

    def body(emit: Emit, x: Any, y: Any) -> Any:
        joined = emit(op.concat([emit(op.nn.relu(x)), emit(second(y))], 1))
        return kernel("rtc.dense", [joined, const(W), const(B)], x, COLUMNS)

    before = network({"x": ("n", half), "y": ("n", half)}, body)
    gathered, report = run(gather_blocks, before)
    assert report.applied == 1
    after, _ = run(only(DYNAMIC), gathered)
    assert f"rtc.quantize.{form}" in calls(after)


def test_layers_of_one_input_share_what_is_made_of_it() -> None:
    def body(emit: Emit, x: Any) -> Any:
        first = emit(kernel("rtc.dense", [x, const(W), const(B)], x, COLUMNS))
        second = emit(kernel("rtc.dense.tanh acc", [x, const(-W), const(B)], x, COLUMNS))
        return op.add(first, second)

    plan = PrecisionPlan({"cross/0": DYNAMIC, "cross/1": DYNAMIC})
    after, report = run(graph_pass(plan), network({"x": ("n", DEPTH)}, body))
    assert calls(after).count("rtc.quantize.signed") == 1
    assert report.applied == 2


@pytest.mark.parametrize("shape", [(15, 64), (64, 15)])
def test_a_small_layer_is_none_that_can_be_quantized(shape: tuple[int, int]) -> None:
    depth, columns = shape

    def body(emit: Emit, x: Any) -> Any:
        fields = [x, const(weight(*shape)), const(np.zeros(columns))]
        return kernel("rtc.dense", fields, x, columns)

    mod = network({"x": ("n", depth)}, body)
    assert describe_layers(mod, "cross") == {}
    after, report = run(only(STATIC), mod)
    tvm.ir.assert_structural_equal(after, mod)
    assert report.applied == 0


def test_layers_that_are_not_named_stay() -> None:
    mod = layer()
    after, report = run(graph_pass(PrecisionPlan({"user/0": STATIC})), mod)
    tvm.ir.assert_structural_equal(after, mod)
    assert report.applied == 0
    found = describe_layers(mod, "cross")["cross/0"]
    assert (found.depth, found.columns, found.rows) == (DEPTH, COLUMNS, 1)


def test_what_is_fused_before_is_found() -> None:
    def body(emit: Emit, x: Any) -> Any:
        return op.nn.relu(op.add(op.matmul(x, const(W)), const(B)))

    fused, _ = run(fuse_dense, network({"x": ("n", 4, DEPTH)}, body))
    assert describe_layers(fused, "item")["item/0"].rows == 4
    after, _ = run(only(STATIC), fused)
    assert calls(after) == ["rtc.quantize.static", "rtc.dense_int8.static.float32.maximum acc 0.0"]


def test_to_observe_is_to_read_the_same_values() -> None:
    observing = graph_pass(PrecisionPlan(mode=Mode.OBSERVE))
    after, report = run(observing, layer())
    assert calls(after) == ["rtc.observe.0", "rtc.dense.maximum acc 0.0"]
    assert report.applied == 1
    assert_settled(observing, after)


def test_a_switch_has_every_precision() -> None:
    plan = PrecisionPlan({"cross/0": STATIC}, Mode.SWITCH, ("int8", "bf16", "float32"))
    after, _ = run(graph_pass(plan), layer(""))
    assert sorted(calls(after)) == sorted(
        [
            "rtc.quantize.static",
            "rtc.dense_int8.static.float32.",
            "rtc.to_bf16",
            "rtc.dense_bf16.float32.",
            "rtc.dense",
            "rtc.select.0",
        ]
    )


def _most_that_rounding_moves(precision: LayerPrecision, x: Array) -> Array:
    """Of each score: half a step of each value and of each weight, times what it meets."""
    if precision.level == "bf16":
        most: Array = np.abs(x) @ np.abs(W) * 2.0**-7
        return most
    steps = np.abs(x).max(axis=1, keepdims=True) / 127 if precision.scale is None else 0.05
    of_x, of_w = steps / 2, np.abs(W).max(axis=0) / 127 / 2
    sums = np.abs(x).sum(axis=1, keepdims=True)
    return np.asarray(of_x * np.abs(W).sum(axis=0) + sums * of_w + DEPTH * of_x * of_w)


@pytest.mark.parametrize("precision", [STATIC, DYNAMIC, LayerPrecision("bf16")])
@given(x=arrays(ROWS, DEPTH, values=VALUES))
def test_scores_move_no_more_than_rounding_does(precision: LayerPrecision, x: Array) -> None:
    before = layer("maximum acc 0.0")
    after, _ = run(only(precision), before)
    (want,), (got,) = evaluate(before, x), evaluate(after, x)
    assert (np.abs(want - got) <= 1.001 * _most_that_rounding_moves(precision, x) + 1e-6).all()


@given(x=arrays(ROWS, DEPTH, values=VALUES))
def test_bytes_give_what_their_values_would(x: Array) -> None:
    """The int8 layer is exact on what the bytes stand for, not only near."""
    after, _ = run(only(STATIC), layer(""))
    steps = np.trunc(np.clip(x * np.float32(1 / 0.05) + np.float32(40), 0, 255) + np.float32(0.5))
    rounded, scale = quantize_weight(W)
    want = (np.float64(0.05) * (steps - 40)) @ (rounded * scale.astype(np.float64)) + B
    (got,) = evaluate(after, x)
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)
