"""Ranges of activations: each method covers what it must, and degenerate data has a defined end."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rtcompile.errors import ConfigError
from rtcompile.quantize.histogram import Histogram
from rtcompile.quantize.ranges import METHODS, Range, choose_range

VALUES = hnp.arrays(np.float32, st.integers(1, 200), elements=st.floats(-1e6, 1e6, width=32))


def histogram(values: npt.NDArray[np.floating]) -> Histogram:
    found = Histogram()
    found.add(values.astype(np.float32))
    return found


def error(values: npt.NDArray[np.floating], to: Range) -> float:
    steps = np.clip(np.round(values / to.scale) + to.zero, 0, 255)
    back = (steps - to.zero) * to.scale
    return float(np.sqrt(np.mean((values - back) ** 2)))


@pytest.mark.parametrize("method", METHODS)
@given(VALUES)
def test_a_range_holds_zero_and_no_more_than_was_seen(
    method: str, values: npt.NDArray[np.float32]
) -> None:
    found = choose_range(histogram(values), method)
    assert found.low <= 0 <= found.high
    assert found.low >= min(values.min(), 0) - 1e-3 * abs(values.min())
    assert found.high <= max(values.max(), 0) + 1e-3 * abs(values.max())
    assert 0 <= found.zero <= 255
    assert found.scale > 0


@given(VALUES)
def test_minmax_is_within_half_a_step_of_every_value(values: npt.NDArray[np.float32]) -> None:
    found = choose_range(histogram(values), "minmax")
    steps = np.clip(np.round(values / np.float64(found.scale)) + found.zero, 0, 255)
    # The zero point is rounded too: an end may lie half a step outside.
    off = np.abs((steps - found.zero) * found.scale - values)
    assert np.all(off <= 1.01 * found.scale)


@given(VALUES)
def test_zero_is_exact(values: npt.NDArray[np.float32]) -> None:
    found = choose_range(histogram(values), "minmax")
    assert (np.round(0.0 / found.scale) + found.zero - found.zero) * found.scale == 0.0


@pytest.mark.parametrize("method", METHODS)
def test_a_range_of_no_width_is_defined(method: str) -> None:
    assert choose_range(histogram(np.zeros(9)), method).scale == 1.0
    one = choose_range(histogram(np.full(9, 2.0)), method)
    assert (one.low, one.high) == (0.0, 2.0)
    assert choose_range(Histogram(), method) == Range(0.0, 0.0)
    assert choose_range(histogram(np.array([np.nan, np.inf])), method) == Range(0.0, 0.0)


@given(VALUES)
def test_a_histogram_counts_everything_once(values: npt.NDArray[np.float32]) -> None:
    found = histogram(np.append(values, [np.nan, np.inf, -np.inf]))
    assert (found.finite, found.not_finite) == (values.size, 3)
    assert (found.low, found.high) == (values.min(), values.max())
    if found.low < found.high:
        assert found.spread(100)[1].sum() == pytest.approx(values.size)


def test_equal_bins_have_the_counts_that_numpy_finds() -> None:
    values = np.random.default_rng(0).normal(size=100_000)
    centres, counts = histogram(values).spread(50)
    want, _ = np.histogram(values, 50, (values.min(), values.max()))
    assert np.abs(counts - want).sum() < 0.01 * values.size
    assert centres[0] > values.min()


def test_an_outlier_does_not_cost_the_others_their_precision() -> None:
    rng = np.random.default_rng(0)
    body = rng.normal(size=100_000)
    seen = histogram(np.append(body, 1000.0))
    whole = error(body, choose_range(seen, "minmax"))
    assert error(body, choose_range(seen, "percentile")) < whole / 20
    assert error(body, choose_range(seen, "entropy")) < whole / 2


def test_zeros_of_a_relu_do_not_narrow_the_range() -> None:
    rng = np.random.default_rng(0)
    values = np.maximum(rng.normal(size=100_000), 0)
    assert choose_range(histogram(values), "entropy").high > 3


def test_an_unknown_method_is_named() -> None:
    with pytest.raises(ConfigError, match=r"'median'.*minmax, percentile, entropy"):
        choose_range(histogram(np.ones(3)), "median")
