"""The search for a precision of each layer, on made-up costs."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcompile.quantize.assign import LayerCost, assign
from rtcompile.quantize.quality import Budget, Quality

LEVELS = ("int8", "bf16", "float32")
BUDGET = Budget(auc_drop=1, largest=1, mean=1)


class Model:
    """Errors of layers add up; counts how often it is measured."""

    def __init__(self, errors: Mapping[str, Mapping[str, float]]) -> None:
        self.errors, self.runs = errors, 0

    def __call__(self, levels: Mapping[str, str]) -> Quality:
        self.runs += 1
        total = sum(self.errors[name].get(level, 0.0) for name, level in levels.items())
        return Quality(total, total / 2)


def layers(*work: int) -> list[LayerCost]:
    return [LayerCost(f"layer_{index}", each) for index, each in enumerate(work)]


def test_what_fits_stays_at_the_fastest_level_in_one_run() -> None:
    model = Model({"layer_0": {"int8": 0.4}, "layer_1": {"int8": 0.5}})
    found = assign(layers(10, 10), LEVELS, model, BUDGET)
    assert found.levels == {"layer_0": "int8", "layer_1": "int8"}
    assert (model.runs, found.reasons) == (1, {})


def test_the_layer_that_hurts_goes_one_level_up_and_says_why() -> None:
    errors = {f"layer_{i}": {"int8": 0.1, "bf16": 0.01} for i in range(3)}
    errors["layer_1"] = {"int8": 5.0, "bf16": 0.02}
    found = assign(layers(10, 10, 10), LEVELS, Model(errors), BUDGET)
    assert found.levels == {"layer_0": "int8", "layer_1": "bf16", "layer_2": "int8"}
    assert found.reasons == {"layer_1": "int8 alone uses 500% of the budget"}
    assert found.quality.largest == pytest.approx(0.22)


def test_what_hurts_at_every_level_stays_float() -> None:
    errors = {"layer_0": {"int8": 9.0, "bf16": 3.0}, "layer_1": {"int8": 0.5, "bf16": 0.1}}
    found = assign(layers(10, 10), LEVELS, Model(errors), BUDGET)
    assert found.levels["layer_0"] == "float32"
    assert found.quality.share(BUDGET) <= 1


def test_of_equal_errors_the_one_with_less_work_is_given_up() -> None:
    model = Model({"layer_0": {"int8": 0.6}, "layer_1": {"int8": 0.6}})
    found = assign(layers(1000, 10), ("int8", "float32"), model, BUDGET)
    assert found.levels == {"layer_0": "int8", "layer_1": "float32"}


def test_a_layer_that_is_better_at_the_faster_level_makes_room() -> None:
    errors = [(1.0, 0.0), (0.71875, 0.0), (0.125, 0.1875), (0.125, 0.0)]
    model = Model({f"layer_{i}": {"int8": a, "bf16": b} for i, (a, b) in enumerate(errors)})
    found = assign(layers(1, 6, 1, 1), LEVELS, model, BUDGET)
    assert list(found.levels.values()) == ["bf16", "int8", "int8", "int8"]
    assert set(found.reasons) == {"layer_0"}


def test_over_the_budget_at_every_level_is_told_by_the_quality() -> None:
    def measure(levels: Mapping[str, str]) -> Quality:
        return Quality(2.0, 2.0)

    found = assign(layers(10), ("int8", "float32"), measure, BUDGET)
    assert found.quality.share(BUDGET) == 2
    assert found.levels == {"layer_0": "float32"}


@given(
    st.lists(
        st.tuples(st.floats(0, 1), st.floats(0, 0.2), st.integers(1, 100)), min_size=1, max_size=5
    )
)
def test_the_result_is_inside_and_no_single_layer_could_be_faster(
    drawn: list[tuple[float, float, int]],
) -> None:
    model = Model({f"layer_{i}": {"int8": a, "bf16": b} for i, (a, b, _) in enumerate(drawn)})
    found = assign(layers(*(work for *_, work in drawn)), LEVELS, model, BUDGET)
    assert found.quality.share(BUDGET) <= 1
    assert model(found.levels) == found.quality
    for name, level in found.levels.items():
        if level == "bf16":
            assert model({**found.levels, name: "int8"}).share(BUDGET) > 1
    assert any(
        model(dict(zip(found.levels, c, strict=True))).share(BUDGET) <= 1
        for c in product(LEVELS, repeat=len(drawn))
    )
