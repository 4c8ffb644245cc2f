"""Which epilogues only keep a value between numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcompile.relay_passes.dialect.epilogue import Epilogue, number_bounds

NUMBERS = st.sampled_from([-2.0, -0.5, 0.0, 0.75, 3.0])


@given(st.lists(st.tuples(st.sampled_from(["maximum", "minimum"]), NUMBERS), max_size=4))
def test_bounds_are_what_the_steps_do_to_any_value(steps: list[tuple[str, float]]) -> None:
    last, text = "acc", []
    for index, (operator, bound) in enumerate(steps):
        operands = (last, bound) if index % 2 else (bound, last)
        text.append(f"{operator} {operands[0]} {operands[1]}")
        last = f"s{index}"
    values = np.linspace(-4, 4, 65)
    want = values
    for operator, bound in steps:
        want = getattr(np, operator)(want, bound)
    bounds = number_bounds(Epilogue.parse("; ".join(text)))
    assert bounds is not None
    assert np.array_equal(np.clip(values, *bounds), want)


@pytest.mark.parametrize(
    "text",
    [
        "maximum acc each:0",
        "add acc 1.0",
        "sigmoid acc; maximum acc s0",
        "maximum acc 0.0; minimum acc 6.0",
        "maximum acc acc",
    ],
)
def test_others_have_none(text: str) -> None:
    assert number_bounds(Epilogue.parse(text)) is None
