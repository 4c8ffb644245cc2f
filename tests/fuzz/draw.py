"""Graphs and inputs, by chance: a strategy of Hypothesis, which makes a failing graph smaller."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from tests.fuzz.elementwise import ELEMENTWISE
from tests.fuzz.graph import DTYPES, Graph, Value
from tests.fuzz.patterns import PATTERNS
from tests.fuzz.reducing import REDUCING
from tests.fuzz.shaping import SHAPING

__all__ = ["ROWS", "draw_inputs", "graphs"]

ROWS = (1, 2, 7, 65)

# What hurts, by the count of rows. Where numbers are so large that their products have no place in
# a float32, the order of sums decides between infinity and NaN. A half of the least number is zero:
# where a product is scaled then decides what infinity times it is, so there is none.
_LARGE_ROWS = 7
_INFINITE = (np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-40, -1e-39, 88.5, -104.0)
_LARGE = (0.0, -0.0, 1e30, -1e30, 3.4e38, -3.4e38, 1e-40, 2e9, 1e19)
_HOSTILE = {1: (0.0,), 2: _INFINITE, _LARGE_ROWS: _LARGE, 65: _INFINITE}

_MOST_STEPS = 7
_SEEDS = 1 << 16
_KINDS = (*[ELEMENTWISE] * 3, *[SHAPING] * 2, *[REDUCING] * 2, PATTERNS)


@st.composite
def graphs(draw: Any, dtypes: tuple[str, ...] = DTYPES) -> Graph:
    """A graph of up to seven steps: operators alone, and some that go together.

    A step is an element of a list, whose `random.Random` Hypothesis decides, so that it can be left
    out.
    """
    graph = Graph(Random(0), dtypes)
    step = st.randoms(use_true_random=False).map(lambda random: _take_step(graph, random))
    draw(st.lists(step, min_size=1, max_size=_MOST_STEPS))
    if not graph.nodes:
        x = graph.input("float32", (1,))
        graph.node("Relu", [x], x.dtype, x.shape)
    graph.seed = draw(st.integers(0, _SEEDS - 1))
    return graph


def _take_step(graph: Graph, random: Random) -> None:
    graph.random = random
    kind = graph.choose(_KINDS)
    graph.choose(kind)(graph)


def draw_inputs(graph: Graph, rows: int) -> dict[str, npt.NDArray[Any]]:
    """Values for each input: eighths up to 4 in size; in some, what hurts is among them."""
    rngs = [np.random.default_rng([graph.seed, rows, i]) for i in range(len(graph.inputs))]
    pairs = zip(graph.inputs, rngs, strict=True)
    return {value.name: _values(value, rows, rng) for value, rng in pairs}


def _values(value: Value, rows: int, rng: np.random.Generator) -> npt.NDArray[Any]:
    shape = (rows, *value.shape)
    if value.bound:
        return rng.integers(0, value.bound, shape).astype(value.dtype)
    if value.dtype == "bool":
        # Some rows have nothing but zeros: a history that is wholly masked.
        return (rng.random(shape) < 0.6) & (rng.random((rows, *[1] * len(value.shape))) < 0.8)
    hostile = rng.random() < 0.5
    if value.dtype.startswith("float"):
        values = rng.integers(-32, 33, shape) / 8
        if hostile:
            values = np.where(rng.random(shape) < 0.15, rng.choice(_HOSTILE[rows], shape), values)
        if hostile and rng.random() < 0.3:
            values[rng.random(rows) < 0.3] = rng.choice(_HOSTILE[rows])
        return values.astype(value.dtype)
    info = np.iinfo(value.dtype)
    values = rng.integers(max(info.min, -5), 6, shape).astype(value.dtype)
    if hostile:
        extremes = np.array([info.min, info.max, 0, info.max - 1], value.dtype)
        values = np.where(rng.random(shape) < 0.2, rng.choice(extremes, shape), values)
    return values
