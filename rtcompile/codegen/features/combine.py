"""Combiners in TIR: several float64 to one, from the first to the last."""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit.tir import Cell, f64, i64

__all__ = ["Accumulator"]


class Accumulator:
    """Emits what one combiner needs: a state, a step, a result."""

    def __init__(self, combiner: str) -> None:
        self._combiner = combiner
        self._count = Cell("int64", i64(0))
        self._state, self._last = Cell("float64", f64(0.0)), Cell("float64", f64(0.0))

    def add(self, number: Any) -> None:
        """Take a number."""
        first, state = T.Bind(self._count.get() == 0), T.Bind(self._state.get())
        if self._combiner in ("sum", "mean"):
            self._state.set(state + number)
        elif self._combiner in ("min", "max"):
            # As Python's: of numbers that do not compare, the one before stays.
            better = number < state if self._combiner == "min" else number > state
            self._state.set(tirx.Select(tirx.Or(first, better), number, state))
        elif self._combiner in ("gap_min", "gap_max"):
            gap = T.Bind(T.call_pure_extern("float64", "fabs", number - self._last.get()))
            better = gap < state if self._combiner == "gap_min" else gap > state
            second = self._count.get() == 1
            taken = tirx.Or(second, tirx.And(tirx.Not(first), better))
            self._state.set(tirx.Select(taken, gap, state))
            self._last.set(number)
        self._count.add(1)

    def any(self) -> Any:
        """Whether there was a number."""
        return T.Bind(self._count.get() > 0)

    def result(self) -> Any:
        """The combined number."""
        count = T.Bind(tirx.Cast("float64", self._count.get()))
        if self._combiner == "count":
            return count
        if self._combiner == "mean":
            safe = tirx.Select(self._count.get() > 0, count, f64(1.0))
            return T.Bind(self._state.get() / safe)
        return T.Bind(self._state.get())
