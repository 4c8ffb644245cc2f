"""Evaluate a dense layer's epilogue: `relay_passes/dialect/epilogue.py` says what its text means.

    "sigmoid acc; multiply acc s0"   on a row's accumulator of 64 columns

        s0[0..64) = 1 / (1 + exp(-acc[0..64)))
        y[row, panel] = acc[0..64) * s0[0..64)

A step that is read more than once, or that is a curve, is kept in a buffer of its own, which LLVM
holds in registers; the others become part of the expression that reads them. (A curve inside
another's argument would take TVM's simplifier minutes: `vector_math.py`.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.kernels.vector_math import (
    erf,
    exp,
    log,
    power,
    sigmoid,
    tanh,
)
from rtcompile.relay_passes.dialect.epilogue import ACC, Epilogue
from rtcompile.relay_passes.exact.exact_values import exact

__all__ = ["KNOWN_STEPS", "Period", "Read", "evaluate", "kept_steps", "stream_row"]

Read = Callable[[str], Any]  # the value of an operand that is no number


def _number(text: str) -> Any:
    return tirx.const(float(text), "float32")


def _of(operator: Any) -> Callable[..., Any]:
    """An operator in the form that TVM leaves as it is."""
    return lambda *operands: exact(operator(*operands))


KNOWN_STEPS: dict[str, Callable[..., Any]] = {
    "add": _of(tirx.Add),
    "subtract": _of(tirx.Sub),
    "multiply": _of(tirx.Mul),
    "divide": _of(tirx.Div),
    "maximum": _of(tirx.Max),
    "minimum": _of(tirx.Min),
    "power": power,
    "less": _of(tirx.LT),
    "less_equal": _of(tirx.LE),
    "greater": _of(tirx.GT),
    "greater_equal": _of(tirx.GE),
    "where": tirx.Select,
    "exp": exp,
    "log": log,
    "sqrt": tirx.sqrt,
    "erf": erf,
    "tanh": tanh,
    "sigmoid": sigmoid,
    "abs": tirx.abs,
    "negative": lambda a: tirx.const(-0.0, "float32") - a,
}

_CURVES = ("exp", "log", "erf", "tanh", "sigmoid", "power")
_TRUTH = ("less", "less_equal", "greater", "greater_equal")


def kept_steps(epilogue: Epilogue) -> list[int]:
    """The steps, by number, that need a buffer; truth values need none, they are compared again."""
    operands = [operand for step in epilogue.steps for operand in step.operands]
    return [
        index
        for index, step in enumerate(epilogue.steps[:-1])
        if step.operator in _CURVES
        or (operands.count(f"s{index}") > 1 and step.operator not in _TRUTH)
    ]


def evaluate(epilogue: Epilogue, index: int, read: Read, kept: dict[int, Any]) -> Any:
    """The expression of step `index`; a value in `kept` stands for its step."""

    def operand(text: str) -> Any:
        if text[0] == "s" and text[1:].isdigit():
            at = int(text[1:])
            return kept[at] if at in kept else evaluate(epilogue, at, read, kept)
        if text == ACC or ":" in text:
            return read(text)
        return _number(text)

    step = epilogue.steps[index]
    return KNOWN_STEPS[step.operator](*map(operand, step.operands))


@dataclass(frozen=True)
class Period:
    """The length of a request's sequence, int64, and what divides by it without a division.

    row // length = (row * inverse) >> 32 with inverse = floor(2**32 / length) + 1, which exceeds
    2**32 / length by at most 1: exact while row * length < 2**32. A tile of 128 rows by 4,096
    positions has 2**31. A division for each row of a block and panel costs more than its epilogue.
    """

    length: Any
    inverse: Any

    @staticmethod
    def of(length: Any) -> Period:
        """Emits the one division. Of an empty sequence no row is asked for."""
        whole, one = tirx.const(1 << 32, "int64"), tirx.const(1, "int64")
        return Period(length, T.Bind(tirx.truncdiv(whole, tirx.max(length, one)) + one))


def stream_row(form: str, row: Any, period: Period | None) -> Any:
    """The row of a stream that belongs to `row` of x; `period` is that of div0 and mod0."""
    if form in ("each", "value"):
        return row
    if form in ("one", "row"):
        return tirx.const(0, "int64")
    if form[3:] != "0":
        known = tirx.const(int(form[3:]), "int64")
        # (No row is negative: rounding down would add code for those.)
        return tirx.truncdiv(row, known) if form[:3] == "div" else tirx.truncmod(row, known)
    assert period is not None  # the kernel has the argument
    quotient = (row * period.inverse) >> tirx.const(32, "int64")
    return quotient if form == "div0" else row - quotient * period.length
