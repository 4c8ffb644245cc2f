"""What the judge of outputs lets pass, and what not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from rtcompile.errors import ModelError, VerificationError
from rtcompile.verification.draw_inputs import Batch, ordinary
from rtcompile.verification.judge import Judge

Array = npt.NDArray[Any]
ROWS = 20
ULP = 2.0**-24


def judge(want: Any, exact: Any = None, eager: bool = False) -> Judge:
    """Of one output, which does not depend on the inputs, but for which rows are asked for."""

    def run(of: Any) -> Any:
        return lambda inputs: None if of is None else [np.asarray(of)[inputs.get("row", ...)]]

    return Judge(["Y"], run(want), run(exact), eager)


def hostile(*kinds: str, overflow: Sequence[bool] = ()) -> Batch:
    return Batch({}, kinds, np.array(overflow or [False] * len(kinds)))


def hold(by: Judge, batch: Batch, got: Any) -> float:
    asked = by.ask(batch)
    assert asked is not None
    return by.hold(asked, [np.asarray(got)])


def refused(by: Judge, batch: Batch, got: Any, match: str = "instead of") -> None:
    with pytest.raises(VerificationError, match=match):
        hold(by, batch, got)


@pytest.fixture
def scores() -> Array:
    return np.linspace(0.1, 0.9, ROWS, dtype=np.float32).reshape(ROWS, 1)


def test_a_well_conditioned_graph_is_held_to_a_few_places(scores: Array) -> None:
    by, batch = judge(scores, scores.astype(np.float64)), ordinary({}, ROWS)
    assert hold(by, batch, scores * np.float32(1 + 2 * ULP)) < 3 * ULP
    wrong = scores.copy()
    wrong[7] += 5e-6
    refused(by, batch, wrong, r"at \[7, 0\] of 20 rows; .* 1 of 20 values are further off")


def test_small_scores_are_held_to_their_own_size(scores: Array) -> None:
    by, batch = judge(scores * np.float32(1e-6), scores * 1e-6), ordinary({}, ROWS)
    refused(by, batch, scores * np.float32(1.001e-6))


def test_a_graph_that_amplifies_rounding_is_held_to_what_float32_gives(scores: Array) -> None:
    exact = scores.astype(np.float64) + np.linspace(-1e-3, 1e-3, ROWS)[:, None]
    by, batch = judge(scores, exact), ordinary({}, ROWS)
    hold(by, batch, (exact + 2e-3).astype(np.float32))
    refused(by, batch, (exact + 2e-2).astype(np.float32))


def test_without_float64_the_fixed_tolerance_holds(scores: Array) -> None:
    by, batch = judge(scores), ordinary({}, ROWS)
    hold(by, batch, scores + np.float32(2e-5))
    refused(by, batch, scores + np.float32(5e-4))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinities_have_their_places(scores: Array, value: float) -> None:
    want = scores.copy()
    want[3] = value
    by, batch = judge(want, want.astype(np.float64)), ordinary({}, ROWS)
    hold(by, batch, want)
    for other in (np.nan, np.inf, -np.inf, 0.0, 3e38):
        if not np.array_equal(other, value, equal_nan=True):
            got = want.copy()
            got[3] = other
            refused(by, batch, got)
    moved = scores.copy()
    moved[4] = value
    refused(by, batch, moved)


def test_float64_decides_what_is_nan() -> None:
    onnxruntime, exact = np.array([[0.0], [0.5]], np.float32), np.array([[np.nan], [0.5]])
    batch = Batch({"row": np.arange(2)}, ("NaN", ""), np.zeros(2, bool))
    hold(judge(onnxruntime, exact), batch, exact.astype(np.float32))
    refused(judge(onnxruntime, exact, eager=True), batch, onnxruntime, "NaN")


def test_a_row_that_overflows_is_not_settled() -> None:
    onnxruntime, exact = np.array([[np.nan], [0.5]], np.float32), np.array([[1.0], [0.5]])
    got = np.array([[np.inf], [0.5]], np.float32)
    hold(judge(onnxruntime, exact), hostile("1e30", "", overflow=[True, False]), got)
    refused(judge(onnxruntime, exact), hostile("inf", ""), got)
    # What both references say is settled, whatever the row holds.
    refused(
        judge(exact.astype(np.float32), exact), hostile("1e30", "", overflow=[True, False]), got
    )


def test_a_hostile_row_does_not_widen_the_others(scores: Array) -> None:
    want, exact = scores.copy(), scores.astype(np.float64)
    want[0], exact[0] = 1e30, 1.1e30
    batch = hostile("1e30", *[""] * (ROWS - 1), overflow=[True, *[False] * (ROWS - 1)])
    got = want.copy()
    hold(judge(want, exact), batch, got)
    got[1] += np.float32(1e-5)
    refused(judge(want, exact), batch, got)


def test_dtypes_and_shapes(scores: Array) -> None:
    by, batch = judge(scores), ordinary({}, ROWS)
    refused(by, batch, scores.astype(np.float64), "of float64 instead of float32")
    refused(by, batch, scores[:, 0], r"shape \(20,\) instead of \(20, 1\)")
    one = judge(scores[0, 0])  # an export that squeezes a batch of one away
    hold(one, ordinary({}, 1), scores[:1])


def test_integers_and_flags_are_exact() -> None:
    for want in (np.arange(4), np.array([True, False, True, True])):
        by, got = judge(want, want), want.copy()
        hold(by, ordinary({}, 4), got)
        got[2] = 0
        refused(by, ordinary({}, 4), got)


def test_a_choice_of_near_equals_may_be_either() -> None:
    x = np.array([[1.0, 1.0 + 2 * ULP], [2.0, 1.0]], np.float32)
    first = Judge(
        ["Y"], lambda inputs: [np.argmax(inputs["X"], 1)], lambda inputs: [np.array([1, 0])]
    )
    batch = ordinary({"X": x}, 2)
    hold(first, batch, np.array([0, 0]))
    refused(first, batch, [1, 1])


def test_an_index_that_float32_decides_otherwise_than_float64_is_not_settled() -> None:
    want, exact = np.array([1, 2, 0]), np.array([3, 2, 0])
    by = judge(want, exact)
    assert hold(by, ordinary({}, 3), np.array([2, 2, 0])) == 0.0
    refused(by, ordinary({}, 3), np.array([1, 1, 0]))


def test_an_original_that_cannot_answer_one_row_is_not_asked_for_it(scores: Array) -> None:
    def run(inputs: Any) -> list[Array]:
        raise ModelError("ranks differ")

    by = Judge(["Y"], run, lambda inputs: None)
    assert by.ask(ordinary({}, 1)) is None
    with pytest.raises(ModelError):
        by.ask(ordinary({}, 2))
