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
    judges = Judges(graph)
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


def test_what_other_roundings_decide_is_not_judged() -> None:
    graph = Graph(Random(0))
    x = graph.input("float32", (1,))
    square = graph.node("Mul", [x, x], "float32", (1,))
    same = graph.node("Pow", [x, graph.constant(np.float32(2))], "float32", (1,))
    rest = graph.node("Sub", [square, same], "float32", (1,))
    graph.node("Greater", [rest, graph.constant(np.float32(0))], "bool", (1,))
    graph.node("Greater", [square, graph.constant(np.float32(0))], "bool", (1,))
    judges = Judges(graph)
    given = {x.name: np.array([[3]], np.float32)}
    scale = judges.scale(given)
    for place, fine in ((0, True), (1, False)):
        theirs = [found[place] for found in judges.outputs(given)]
        rounded = [found[place] for found in judges.rounded_elsewhere(given)]
        wrong, overflows = ~theirs[0], judges.overflows(scale)
        assert disagreement(wrong, theirs, "bool", scale, overflows)
        assert fine == (not disagreement(wrong, theirs, "bool", scale, overflows, rounded))


def test_windows_of_padding_and_infinities() -> None:
    graph = Graph(Random(0))
    x = graph.input("float32", (1, 3))
    shape = {"kernel_shape": [2], "strides": [1], "pads": [1, 1]}
    graph.node("MaxPool", [x], "float32", (1, 4), **shape)
    graph.node("AveragePool", [x], "float32", (1, 4), **shape)
    found = Judges(graph).outputs({x.name: np.array([[[-np.inf, np.nan, 2]]], np.float32)})
    assert len(found) == 5
    np.testing.assert_array_equal(found[1][0], [[[-np.inf, np.nan, np.nan, 2]]])
    np.testing.assert_array_equal(found[1][1], [[[-np.inf, np.nan, np.nan, 2]]])
