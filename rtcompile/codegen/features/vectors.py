"""Vector functions of expressions in TIR, summed from the first number to the last, in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit.tir import Cell, f64, i64

__all__ = ["Vector", "vector_function"]


class Vector:
    """All numbers of a variable: numbers[first : first + count]."""

    def __init__(self, numbers: Any, first: Any, count: Any) -> None:
        self._numbers, self._first, self.count = numbers, first, count

    def at(self, place: Any) -> Any:
        """One number."""
        return T.Bind(self._numbers[self._first + place])

    def spread(self, place: Any, fill: float) -> Any:
        """One number; the only one counts for every place, `fill` for those behind the last."""
        number = Cell("float64", self.at(i64(0)))
        with T.If(self.count > i64(1)), T.Then():
            number.set(f64(fill))
            with T.If(place < self.count), T.Then():
                number.set(self.at(place))
        return T.Bind(number.get())


def _fold(count: Any, start: float, step: Callable[[Any, Any], Any]) -> Any:
    state = Cell("float64", f64(start))
    with T.serial(count) as k:
        state.set(step(T.Bind(state.get()), k))
    return T.Bind(state.get())


def _sum(count: Any, term: Callable[[Any], Any]) -> Any:
    return _fold(count, 0.0, lambda total, k: total + term(k))


def _float(count: Any) -> Any:
    return T.Bind(tirx.Cast("float64", count))


def _root(value: Any) -> Any:
    return T.Bind(T.call_pure_extern("float64", "sqrt", value))


def _spread_around_mean(a: Vector, divisor: Any, count: Any = None) -> Any:
    count = a.count if count is None else count
    mean = T.Bind(_sum(count, a.at) / _float(count))

    def term(k: Any) -> Any:
        apart = T.Bind(a.at(k) - mean)
        return T.Bind(apart * apart)

    return T.Bind(tirx.Div(_sum(count, term), divisor))


def _least(a: Vector, sign: int) -> Any:
    def step(best: Any, k: Any) -> Any:
        number = a.at(k)
        better = number < best if sign < 0 else number > best
        return tirx.Select(tirx.Or(k == 0, better), number, best)

    return _fold(a.count, 0.0, step)


def _correlation(a: Vector, b: Vector) -> Any:
    count = T.Bind(tirx.min(a.count, b.count))
    first, second = T.Bind(_sum(count, a.at) / _float(count)), _sum(count, b.at)
    second = T.Bind(second / _float(count))
    joint = _sum(count, lambda k: T.Bind((a.at(k) - first) * (b.at(k) - second)))
    one = _root(_spread_around_mean(a, f64(1.0), count))
    return T.Bind(tirx.Div(joint, one * _root(_spread_around_mean(b, f64(1.0), count))))


def _squared_distance(a: Vector, b: Vector) -> Any:
    def term(k: Any) -> Any:
        apart = T.Bind(a.at(k) - b.at(k))
        return T.Bind(apart * apart)

    return _sum(T.Bind(tirx.min(a.count, b.count)), term)


def _dot(a: Vector, b: Vector) -> Any:
    return _sum(T.Bind(tirx.min(a.count, b.count)), lambda k: T.Bind(a.at(k) * b.at(k)))


def vector_function(name: str, vectors: list[Vector]) -> Any:
    """Emit a function of `VECTORS`."""
    a, b = vectors[0], vectors[-1]
    return {
        "len": lambda: _float(a.count),
        "l2_norm": lambda: _root(_dot(a, a)),
        "squared_norm": lambda: _dot(a, a),
        "dot": lambda: _dot(a, b),
        "euclid_dist": lambda: _root(_squared_distance(a, b)),
        "corr": lambda: _correlation(a, b),
        "std_dev": lambda: _root(_spread_around_mean(a, _float(a.count))),
        "pop_std_dev": lambda: _root(_spread_around_mean(a, _float(a.count - 1))),
        "variance": lambda: _spread_around_mean(a, _float(a.count)),
        "pop_variance": lambda: _spread_around_mean(a, _float(a.count - 1)),
        "reduce_min": lambda: _least(a, -1),
        "reduce_max": lambda: _least(a, 1),
        "reduce_sum": lambda: _sum(a.count, a.at),
        "reduce_mean": lambda: T.Bind(_sum(a.count, a.at) / _float(a.count)),
        "reduce_prod": lambda: _fold(a.count, 1.0, lambda total, k: total * a.at(k)),
    }[name]()
