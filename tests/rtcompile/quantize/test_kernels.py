"""The kernels of lower precision against their definitions in numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rtcompile.codegen.kernels.dense_bf16 import (
    bf16_panels,
    dense_bf16_kernel,
    pack_bf16_weight,
    round_kernel,
)
from rtcompile.codegen.kernels.dense_int8 import (
    Int8Shape,
    dense_int8_kernel,
    int8_panels,
    pack_int8_weight,
)
from rtcompile.codegen.kernels.dense_shape import DenseShape
from rtcompile.codegen.kernels.dot_bf16 import DOT_BF16_LLVM
from rtcompile.codegen.kernels.observe_rows import PREFIX_BINS, Observed, observe_kernel
from rtcompile.codegen.kernels.panels import pack_columns
from rtcompile.codegen.kernels.quantize_rows import QuantizeShape, padded_depth, quantize_kernel
from rtcompile.quantize.histogram import Histogram
from rtcompile.relay_passes.dialect.epilogue import Epilogue, number_bounds
from rtcompile.relay_passes.kernels.quantize_dense import bf16_bits, quantize_weight
from rtcompile.targets import TARGETS, cpu_flags
from tests.rtcompile.kernels import compiled

VNNI, BF16 = TARGETS["x86-64-v4-vnni"].registers, TARGETS["x86-64-v4-bf16"].registers
needs_vnni = pytest.mark.skipif("avx512_vnni" not in cpu_flags(), reason="no AVX512-VNNI here")
needs_bf16 = pytest.mark.skipif("avx512_bf16" not in cpu_flags(), reason="no AVX512-BF16 here")

Array = npt.NDArray[Any]
FLOATS = st.floats(-1e3, 1e3, width=32)
DEPTH = 21
ROWS = hnp.arrays(np.float32, st.tuples(st.integers(1, 9), st.just(DEPTH)), elements=FLOATS)


@pytest.fixture(scope="module")
def static() -> Any:
    return compiled(quantize_kernel(QuantizeShape(DEPTH, "static")), ["float32"] * 2 + ["uint8"])


@pytest.fixture(scope="module")
def dynamic() -> Any:
    types = ["float32", "uint8", "float32"]
    return {
        form: compiled(quantize_kernel(QuantizeShape(DEPTH, form)), types)
        for form in ("signed", "unsigned")
    }


def quantized(function: Any, x: Array, *more: Array) -> Array:
    q = np.zeros((len(x), padded_depth(DEPTH)), np.uint8)
    function(x, *more, q, len(x))
    return q[:, :DEPTH]


@given(x=ROWS, scale=st.floats(2**-10, 8, width=32), zero=st.integers(0, 255))
@settings(deadline=None)
def test_a_static_range_rounds_to_the_nearest_step_and_saturates(
    static: Any, x: Array, scale: float, zero: int
) -> None:
    q = quantized(static, x, np.float32([1 / scale, zero]))
    exact = x / np.float64(scale) + zero
    assert np.all(np.abs(q - np.clip(exact, 0, 255)) <= 0.5 + 1e-3)


def test_a_static_range_defines_what_is_not_finite(static: Any) -> None:
    x = np.zeros((1, DEPTH), np.float32)
    x[0, :3] = np.nan, np.inf, -np.inf
    q = quantized(static, x, np.float32([1.0, 100.0]))
    assert list(q[0, :4]) == [0, 255, 0, 100]


def own_ranges(dynamic: Any, form: str, x: Array) -> tuple[Array, Array]:
    q, scale = np.zeros((len(x), padded_depth(DEPTH)), np.uint8), np.zeros(len(x), np.float32)
    dynamic[form](x, q, scale, len(x))
    return q[:, :DEPTH], scale


@given(x=ROWS)
@example(np.zeros((2, DEPTH), np.float32))
@settings(deadline=None)
def test_a_row_of_both_signs_is_within_half_a_step(dynamic: Any, x: Array) -> None:
    q, scale = own_ranges(dynamic, "signed", x)
    largest = np.abs(x).max(axis=1)
    np.testing.assert_allclose(scale, np.where(largest < 1e-30, 0, largest / 127), rtol=1e-6)
    back = (q.astype(np.float64) - 128) * scale[:, None]
    assert np.all(np.abs(back - x) <= 0.501 * scale[:, None] + 1e-30)
    assert np.all(q[x == 0] == 128)


@given(x=ROWS)
@settings(deadline=None)
def test_a_row_without_negative_values_uses_all_steps(dynamic: Any, x: Array) -> None:
    q, scale = own_ranges(dynamic, "unsigned", np.abs(x))
    back = q.astype(np.float64) * scale[:, None]
    assert np.all(np.abs(back - np.abs(x)) <= 0.501 * scale[:, None] + 1e-30)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_row_with_what_is_not_finite_has_no_scale(dynamic: Any, bad: float) -> None:
    x = np.ones((3, DEPTH), np.float32)
    x[1, DEPTH - 1] = bad
    _, scale = own_ranges(dynamic, "signed", x)
    assert np.isnan(scale[1])
    assert np.isfinite(scale[[0, 2]]).all()


def test_one_huge_outlier_leaves_the_other_rows_alone(dynamic: Any) -> None:
    x = np.ones((2, DEPTH), np.float32)
    x[0, 3] = 1e30
    q, scale = own_ranges(dynamic, "signed", x)
    assert list(q[0, :4]) == [128, 128, 128, 255]
    assert q[1, 0] == 255
    assert scale[1] == np.float32(1 / 127)


@pytest.mark.slow
@needs_vnni
@pytest.mark.parametrize("columns", [1, 16, 33, 100, 128])
@pytest.mark.parametrize(
    ("dynamic_scale", "output"), [(0, "float32"), (1, "float32"), (0, "uint8")]
)
def test_int8_layers_are_exact_sums(columns: int, dynamic_scale: bool, output: str) -> None:
    rng = np.random.default_rng(columns)
    depth, rows = 50, 11
    q = rng.integers(0, 256, (rows, padded_depth(depth))).astype(np.uint8)
    w = rng.integers(-127, 128, (depth, columns)).astype(np.int8)
    start = rng.integers(-999, 999, columns).astype(np.int32)
    factor, bias = (rng.random(columns).astype(np.float32) * 1e-3 for _ in range(2))
    scale, stream = rng.random(rows).astype(np.float32), rng.random((rows, columns))
    epilogue = Epilogue.parse("add acc each:0; maximum s0 0.0")
    shape = Int8Shape(DenseShape(depth, columns, epilogue), bool(dynamic_scale), output)
    types = ["int32", "int8", "int32", "float32", "float32"]
    types += ["float32"] * (bool(dynamic_scale) + (output == "uint8") + 1) + [output]
    kernel = compiled(dense_int8_kernel(shape, VNNI), types)
    cut = int8_panels(columns, VNNI)
    packed = [pack_columns(row, cut) for row in (start, factor, bias)]
    more = [scale] if dynamic_scale else []
    more += [np.float32([50.0, 3.0])] if output == "uint8" else []
    stored = padded_depth(columns) if output == "uint8" else columns
    y = np.zeros((rows, stored), output)
    kernel(q, pack_int8_weight(w, cut), *packed, *more, stream.astype(np.float32), y, rows)
    sums = q[:, :depth].astype(np.int64) @ w + start
    rows_factor = scale[:, None] if dynamic_scale else 1
    want = np.maximum(sums * (factor * rows_factor) + bias + stream.astype(np.float32), 0)
    if output == "uint8":
        want = np.clip(want * 50 + 3, 0, 255)
        assert np.abs(y[:, :columns] - want).max() <= 0.5 + 1e-3
    else:
        np.testing.assert_allclose(y, want, rtol=1e-5, atol=1e-5)


BOUNDS = [
    "",
    "maximum acc 0.0",
    "maximum acc -0.5; minimum s0 0.75",
    "minimum acc 0.5; maximum s0 -9.0",
    "sigmoid acc",
]


@pytest.mark.slow
@needs_vnni
@pytest.mark.parametrize("text", BOUNDS)
def test_every_count_of_rows_is_computed_and_no_more(text: str) -> None:
    depth, columns, most = 24, 130, 33
    rng = np.random.default_rng(0)
    shape = Int8Shape(DenseShape(depth, columns, Epilogue.parse(text)), output="uint8")
    types = ["int32", "int8", "int32", *["float32"] * 3, "uint8"]
    kernel = compiled(dense_int8_kernel(shape, VNNI), types)
    cut = int8_panels(columns, VNNI)
    q = rng.integers(0, 256, (most, depth)).astype(np.uint8)
    w = rng.integers(-127, 128, (depth, columns)).astype(np.int8)
    start, bias = np.zeros(columns, np.int32), rng.normal(size=columns).astype(np.float32)
    factor = np.full(columns, 1e-5, np.float32)
    packed = [pack_columns(row, cut) for row in (start, factor, bias)]
    exact = (q.astype(np.int64) @ w) * factor.astype(np.float64) + bias
    for rows in range(most + 1):
        y = np.full((most, padded_depth(columns)), 7, np.uint8)
        kernel(q, pack_int8_weight(w, cut), *packed, np.float32([90.0, 100.0]), y, rows)
        want = np.clip(_of_bounds(text, exact[:rows]) * 90 + 100, 0, 255)
        assert np.all(np.abs(y[:rows, :columns] - want) <= 0.5 + 1e-3)
        assert np.all(y[rows:] == 7)


def _of_bounds(text: str, values: Array) -> Array:
    if text == "sigmoid acc":
        return 1 / (1 + np.exp(-values))
    bounds = number_bounds(Epilogue.parse(text))
    assert bounds is not None
    return np.clip(values, *bounds)


@needs_bf16
@pytest.mark.parametrize("depth", [16, 33])
@pytest.mark.parametrize("columns", [1, 40, 128])
def test_bf16_layers_multiply_rounded_values(depth: int, columns: int) -> None:
    rng = np.random.default_rng(depth)
    rows = 10
    x = rng.normal(size=(rows, depth)).astype(np.float32)
    w = rng.normal(size=(depth, columns)).astype(np.float32)
    bias = rng.normal(size=columns).astype(np.float32)
    values = np.full((rows, depth + depth % 2), 0x7FC0, np.uint16)
    compiled(round_kernel(depth), ["float32", "uint16"], DOT_BF16_LLVM)(x, values, rows)
    shape = DenseShape(depth, columns, Epilogue.parse("maximum acc 0.0"))
    kernel = compiled(
        dense_bf16_kernel(shape, BF16), ["int32"] * 2 + ["float32"] * 2, DOT_BF16_LLVM
    )
    y = np.zeros((rows, columns), np.float32)
    cut = bf16_panels(columns, BF16)
    packed = pack_columns(bias, cut)
    kernel(values, pack_bf16_weight(bf16_bits(w), cut), packed, y, rows)
    want = np.maximum(as_float(bf16_bits(x)) @ as_float(bf16_bits(w)) + bias, 0)
    np.testing.assert_allclose(y, want, atol=1e-4)
    types = ["int32", "int32", "float32", "uint16"]
    kernel = compiled(dense_bf16_kernel(shape, BF16, "uint16"), types, DOT_BF16_LLVM)
    halves = np.full((rows, columns + columns % 2), 0x7FC0, np.uint16)
    kernel(values, pack_bf16_weight(bf16_bits(w), cut), packed, halves, rows)
    assert np.array_equal(halves[:, :columns], bf16_bits(y))
    assert not halves[:, columns:].any()


def as_float(bits: npt.NDArray[np.uint16]) -> npt.NDArray[np.float32]:
    return (bits.astype(np.uint32) << 16).view(np.float32)


@given(hnp.arrays(np.float32, st.integers(1, 40), elements=st.floats(width=32)))
def test_bf16_is_the_nearest_of_its_neighbours(x: Array) -> None:
    back = as_float(bf16_bits(x))
    nan = np.isnan(x)
    assert np.array_equal(np.isnan(back), nan)
    normal = ~nan & (np.abs(x) < 3e38) & (np.abs(x) > 1e-37)
    np.testing.assert_allclose(back[normal], x[normal], rtol=2**-8)


@given(x=hnp.arrays(np.float32, st.integers(1, 300), elements=st.floats(width=32)))
@settings(deadline=None, max_examples=30)
def test_what_is_counted_is_what_numpy_counts(observe: Any, x: Array) -> None:
    words = np.zeros(Observed.WORDS, np.int64)
    ends, counts = words.view(np.float32), words.view(np.uint32)[Observed.COUNTS.slice()]
    ends[Observed.LOW], ends[Observed.HIGH] = np.inf, -np.inf
    observe(x, words, 1, len(x))
    want = Histogram()
    want.add(x)
    low, high = ends[Observed.LOW], ends[Observed.HIGH]
    assert (low, high) == (want.low, want.high)
    assert counts.size == PREFIX_BINS
    assert np.array_equal(counts, want.counts)


@pytest.fixture(scope="module")
def observe() -> Any:
    return compiled(observe_kernel(), ["float32", "int64"])


@given(hnp.arrays(np.float32, st.tuples(st.integers(1, 20), st.integers(1, 6)), elements=FLOATS))
def test_weights_are_within_half_a_step_of_their_column(w: Array) -> None:
    rounded, scale = quantize_weight(w)
    assert np.abs(rounded.astype(int)).max() <= 127
    assert np.all(np.abs(rounded * scale - w) <= 0.5001 * scale + 1e-38)


def test_weights_of_no_width_and_of_no_number() -> None:
    w = np.zeros((2, 3), np.float32)
    w[0, 1], w[1, 2] = np.nan, 5.0
    rounded, scale = quantize_weight(w)
    assert scale[0] == 0
    assert np.isnan(scale[1])
    assert list(rounded[:, 2]) == [0, 127]
