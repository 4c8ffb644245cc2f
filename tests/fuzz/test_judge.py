"""What the judge of the campaign lets pass, and what it does not."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from tests.fuzz.graph import Graph
from tests.fuzz.judge import Judges, disagreement

_WEIGHTS = np.array([[1.0], [-1.0], [2.0]], np.float32)


def _judged(row: list[float], got: float, weights: np.ndarray = _WEIGHTS) -> str:
    graph = Graph(Random(0))
    x = graph.input("float32", (3,))
    graph.node("MatMul", [x, graph.constant(weights)], "float32", (1,))
    judges = Judges(graph.model(), graph.steps())
    given = {x.name: np.array([row], np.float32)}
    scale = judges.scale(given)
    theirs = [found[0] for found in judges.outputs(given)]
    value = np.array([[got]], np.float32)
    return disagreement(value, theirs, "float32", scale, judges.overflows(scale))


@pytest.mark.parametrize("got", [np.nan, np.inf, -np.inf, 3.4])
def test_a_finite_sum_of_small_numbers_is_what_it_is(got: float) -> None:
    assert _judged([1, 2, 2], got)
    assert not _judged([1, 2, 2], 3)


@pytest.mark.parametrize("got", [np.nan, np.inf])
def test_a_sum_that_overflows_is_what_its_order_makes_it(got: float) -> None:
    assert not _judged([3e38, 3e38, 0], got)
    heavy = np.array([[3e38], [-3e38], [1]], np.float32)
    assert not _judged([4, 4, 1], got, heavy)


def test_a_finite_value_is_judged_beside_a_sum_that_overflows() -> None:
    assert _judged([1e30, 1e30, 1e30], 1e20)


def test_an_infinite_input_is_judged() -> None:
    assert _judged([np.inf, 1, 1], np.nan)
    assert not _judged([np.inf, 1, 1], np.inf)
