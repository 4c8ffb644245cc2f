"""AUC and score differences, and how they are held against a budget."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcompile.errors import DataError
from rtcompile.quantize.quality import Budget, Quality, compare
from rtcompile.verification.area_under_curve import area_under_curve


def by_pairs(labels: list[int], scores: list[float]) -> float:
    """The definition."""
    ones = [s for s, label in zip(scores, labels, strict=True) if label]
    zeros = [s for s, label in zip(scores, labels, strict=True) if not label]
    won = sum((a > b) + (a == b) / 2 for a in ones for b in zeros)
    return won / (len(ones) * len(zeros))


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 5)), min_size=2, max_size=40))
def test_auc_is_the_share_of_pairs_in_order(rows: list[tuple[int, int]]) -> None:
    labels, scores = [label for label, _ in rows], [float(score) for _, score in rows]
    if len(set(labels)) == 1:
        with pytest.raises(DataError, match="all labels are the same"):
            area_under_curve(np.array(labels, float), np.array(scores))
        return
    found = area_under_curve(np.array(labels, float), np.array(scores))
    assert found == pytest.approx(by_pairs(labels, scores), abs=1e-12)


def test_labels_other_than_0_and_1_are_refused() -> None:
    with pytest.raises(DataError, match="0 or 1"):
        area_under_curve(np.array([0.0, 0.5]), np.array([1.0, 2.0]))


def test_differences_are_relative_above_one_only() -> None:
    small = compare({"y": np.float32([0.5, 0.25])}, {"y": np.float32([0.5, 0.5])}, None)
    assert (small.largest, small.mean) == (0.25, 0.125)
    large = compare({"y": np.float32([100, 0])}, {"y": np.float32([100, 10])}, None)
    assert large.largest == pytest.approx(0.1)


def test_auc_decides_where_there_are_labels() -> None:
    labels = np.array([0.0, 1.0, 0.0, 1.0])
    want, got = np.float32([0.1, 0.9, 0.2, 0.8]), np.float32([0.1, 0.9, 0.85, 0.8])
    quality = compare({"y": want}, {"y": got}, labels)
    assert quality.auc_drop == pytest.approx(0.25)
    assert quality.share(Budget(auc_drop=0.5, largest=0.0, mean=0.0)) == pytest.approx(0.5)


def test_nan_is_over_every_budget_unless_the_original_has_it_too() -> None:
    nan, one = np.float32([np.nan]), np.float32([1])
    assert compare({"y": one}, {"y": nan}, None).share(Budget(1, 1, 1)) == float("inf")
    assert compare({"y": nan}, {"y": nan}, None).share(Budget()) == 0


def test_a_budget_of_nothing_allows_nothing_but_no_change() -> None:
    nothing = Budget(0, 0, 0)
    assert Quality(0.0, 0.0).share(nothing) == 0
    assert Quality(1e-9, 0.0).share(nothing) == float("inf")
    assert Quality(0.5, 0.5, -0.1).share(nothing) == 0  # a better AUC costs nothing


@pytest.mark.parametrize("name", ["auc_drop", "largest", "mean"])
def test_a_budget_is_a_number_from_0_on(name: str) -> None:
    for value in (-1.0, float("nan")):
        with pytest.raises(ValueError, match=name):
            Budget(**{name: value})
