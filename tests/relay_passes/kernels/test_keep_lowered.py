from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tvm.ir import IRModule
from tvm.relax import op

from rtcompile.relay_passes.kernels.keep_lowered import keep_lowered
from rtcompile.relay_passes.kernels.precision import LayerPrecision, PrecisionPlan
from rtcompile.relay_passes.kernels.quantize_dense import quantize_dense
from rtcompile.relay_passes.report import PassReport
from tests.relay_passes.evaluate import Array, evaluate
from tests.relay_passes.modules import (
    Emit,
    arrays,
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

WIDTH, ROWS = 20, 3
W, B = weight(WIDTH, WIDTH) / 64, np.linspace(-1, 1, WIDTH, dtype=np.float32)
RANGE, OTHER = LayerPrecision("int8", 0.05, 40), LayerPrecision("int8", 0.07, 0)
INT8 = "rtc.dense_int8.static"


def quantized(mod: IRModule, *layers: LayerPrecision) -> IRModule:
    plan = PrecisionPlan({f"cross/{k}": layer for k, layer in enumerate(layers)})
    return quantize_dense(mod, PassReport("quantize_dense", stage="cross"), plan)


def dense(x: Any, sign: int = 1, epilogue: str = "") -> Any:
    fields = [x, const(sign * W), const(B)]
    return kernel(f"rtc.dense.{epilogue}" if epilogue else "rtc.dense", fields, x, WIDTH)


def two_layers() -> IRModule:
    def body(emit: Emit, x: Any) -> Any:
        return dense(emit(dense(x, epilogue="maximum acc 0.0")))

    return network({"x": ("n", WIDTH)}, body)


def test_a_layer_writes_the_bytes_that_the_next_one_reads() -> None:
    after, report = run(keep_lowered, quantized(two_layers(), OTHER, RANGE))
    assert calls(after) == [
        "rtc.quantize.static",
        f"{INT8}.uint8.maximum acc 0.0",
        f"{INT8}.float32.",
    ]
    assert report.applied == 1
    assert_settled(keep_lowered, after)


def test_a_bf16_layer_writes_halves() -> None:
    half = LayerPrecision("bf16")
    after, report = run(keep_lowered, quantized(two_layers(), half, half))
    assert calls(after) == [
        "rtc.to_bf16",
        "rtc.dense_bf16.uint16.maximum acc 0.0",
        "rtc.dense_bf16.float32.",
    ]
    assert report.applied == 1
    assert_settled(keep_lowered, after)


def test_a_layer_of_another_precision_stays() -> None:
    mixed = quantized(two_layers(), LayerPrecision("bf16"), RANGE)
    assert_stays(keep_lowered, mixed)


def test_through_a_reshape() -> None:
    def body(emit: Emit, x: Any) -> Any:
        hidden = emit(dense(x))
        wide = emit(reshape(hidden, 1, WIDTH))
        fields = [wide, const(W), const(B)]
        return kernel("rtc.dense", fields, x, 1, WIDTH)

    mod = quantized(network({"x": ("n", WIDTH)}, body), OTHER, RANGE)
    after, report = run(keep_lowered, mod)
    assert calls(after)[:2] == ["rtc.quantize.static", f"{INT8}.uint8."]
    assert report.applied == 1


def test_two_readers_of_the_same_bytes() -> None:
    def body(emit: Emit, x: Any) -> Any:
        hidden = emit(dense(x))
        return op.add(emit(dense(hidden)), emit(dense(hidden, -1)))

    after, report = run(
        keep_lowered, quantized(network({"x": ("n", WIDTH)}, body), OTHER, RANGE, RANGE)
    )
    assert calls(after).count("rtc.quantize.static") == 1
    assert report.applied == 1


def test_what_someone_reads_as_floats_stays() -> None:
    def body(emit: Emit, x: Any) -> Any:
        hidden = emit(dense(x))
        return op.add(emit(dense(hidden)), hidden)

    assert_stays(keep_lowered, quantized(network({"x": ("n", WIDTH)}, body), OTHER, RANGE))


def test_readers_with_ranges_of_their_own_stay() -> None:
    def body(emit: Emit, x: Any) -> Any:
        hidden = emit(dense(x))
        return op.add(emit(dense(hidden)), emit(dense(hidden, -1)))

    mod = quantized(network({"x": ("n", WIDTH)}, body), OTHER, RANGE, OTHER)
    assert_stays(keep_lowered, mod)


def test_a_float_layer_stays() -> None:
    assert_stays(keep_lowered, quantized(two_layers(), LayerPrecision("float32"), RANGE))


@pytest.mark.parametrize("precision", [RANGE, LayerPrecision("bf16")])
@given(x=arrays(ROWS, WIDTH, values=st.floats(-2, 8, width=32)))
def test_scores_are_the_same_to_the_bit(precision: LayerPrecision, x: Array) -> None:
    before = quantized(two_layers(), precision, precision)
    after, _ = run(keep_lowered, before)
    assert np.array_equal(evaluate(before, x)[0], evaluate(after, x)[0])
