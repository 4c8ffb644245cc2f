"""What happens to a dense layer's sums before they are stored: steps, element by element.

    relu(acc)              "relu acc"
    x0 * (acc + b) + x     "multiply acc each:0; add s0 each:1"       (b is the layer's bias)
    acc * sigmoid(acc)     "sigmoid acc; multiply acc s0"

A step is an operator and its operands, the last one is the result. An operand is

    acc         the sum, bias included
    sN          the result of step N
    1.5         a number
    FORM:N      a value of the layer's stream N, read for each row by its form (`fuse_dense.py`);
                of div0 and mod0 the period is the length of a sequence (`trim_sequences.py`)
    row:N       a constant of one value a column, stream N

The text is part of the call's name, so that equal epilogues share a kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rtcompile.relay_passes.matching import call_name

__all__ = ["ACC", "Epilogue", "Step", "number", "number_bounds", "steps_of_call"]

ACC = "acc"


@dataclass(frozen=True)
class Step:
    """One operator, of the names that `rtcompile/codegen/kernels/epilogue.py` knows."""

    operator: str
    operands: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join((self.operator, *self.operands))


@dataclass(frozen=True)
class Epilogue:
    """The steps in order; without any, the sums are stored as they are."""

    steps: tuple[Step, ...] = ()

    def __str__(self) -> str:
        return "; ".join(map(str, self.steps))

    @staticmethod
    def parse(text: str) -> Epilogue:
        """The epilogue that a text stands for."""
        words = [step.split() for step in text.split(";") if step.strip()]
        return Epilogue(tuple(Step(operator, tuple(rest)) for operator, *rest in words))

    @property
    def streams(self) -> tuple[str, ...]:
        """The form of each stream, by its number."""
        operands = [operand for step in self.steps for operand in step.operands]
        pairs = [operand.split(":") for operand in operands if ":" in operand]
        forms = {int(index): form for form, index in pairs}
        return tuple(forms[index] for index in range(len(forms)))

    @property
    def by_length(self) -> bool:
        """Whether a stream's rows depend on the length of the request's sequence."""
        return any(form in ("div0", "mod0") for form in self.streams)

    def with_forms(self, forms: Mapping[str, str]) -> Epilogue:
        """The same with some forms of streams in the place of others."""

        def renamed(operand: str) -> str:
            form, colon, index = operand.partition(":")
            return forms.get(form, form) + colon + index if colon else operand

        return Epilogue(
            tuple(Step(s.operator, tuple(map(renamed, s.operands))) for s in self.steps)
        )


def number(value: Any) -> str:
    """A float32 as an operand."""
    return repr(float(np.float32(value)))


def is_number(operand: str) -> bool:
    """Whether an operand is a number, which the epilogue's text has."""
    return operand != ACC and ":" not in operand and not operand.startswith("s")


def number_bounds(epilogue: Epilogue) -> tuple[float, float] | None:
    """(low, high) of an epilogue that only keeps the sums between numbers; None of any other.

    Infinite where there is no bound; ReLU has (0, inf).
    """
    low, high, last = -np.inf, np.inf, ACC
    for index, step in enumerate(epilogue.steps):
        others = [operand for operand in step.operands if operand != last]
        if step.operator not in ("maximum", "minimum") or len(others) != 1:
            return None
        if not is_number(others[0]):
            return None
        keep = max if step.operator == "maximum" else min
        low, high = (keep(bound, float(others[0])) for bound in (low, high))
        last = f"s{index}"
    return low, high


Emit = Callable[..., str]  # (operator, operands...) -> operand

_PLAIN = {"add", "subtract", "multiply", "divide", "maximum", "minimum", "power"}
_PLAIN |= {"less", "less_equal", "greater", "greater_equal", "where"}
_PLAIN |= {"exp", "log", "sqrt", "erf", "tanh", "sigmoid", "abs", "negative"}

_INVERSE_ROOT, _TWO_BY_PI_ROOT = 0.5**0.5, (2 / np.pi) ** 0.5


def _leaky(emit: Emit, call: Any, x: str) -> str:
    slope = number(call.attrs.alpha)
    return emit("where", emit("greater", x, "0.0"), x, emit("multiply", x, slope))


def _prelu(emit: Emit, call: Any, x: str, slope: str) -> str:
    return emit("where", emit("greater", x, "0.0"), x, emit("multiply", x, slope))


def _gelu(emit: Emit, call: Any, x: str) -> str:
    half = emit("multiply", x, "0.5")
    inner = emit("erf", emit("multiply", x, number(_INVERSE_ROOT)))
    return emit("multiply", half, emit("add", inner, "1.0"))


def _gelu_tanh(emit: Emit, call: Any, x: str) -> str:
    cube = emit("multiply", emit("multiply", x, x), emit("multiply", x, number(0.044715)))
    inner = emit("multiply", emit("add", x, cube), number(_TWO_BY_PI_ROOT))
    half = emit("multiply", x, "0.5")
    return emit("multiply", half, emit("add", emit("tanh", inner), "1.0"))


def _softplus(emit: Emit, call: Any, x: str) -> str:
    """As log(1 + exp(b x)) / b, x itself above the threshold; without overflow."""
    beta, limit = float(call.attrs.beta), number(call.attrs.threshold)
    scaled = x if beta == 1 else emit("multiply", x, number(beta))
    decay = emit("exp", emit("negative", emit("abs", scaled)))
    smooth = emit("add", emit("maximum", scaled, "0.0"), emit("log", emit("add", decay, "1.0")))
    value = smooth if beta == 1 else emit("multiply", smooth, number(1 / beta))
    return emit("where", emit("greater", scaled, limit), x, value)


_COMPOSED: dict[str, Callable[..., str]] = {
    "relax.nn.relu": lambda emit, call, x: emit("maximum", x, "0.0"),
    "relax.nn.relu6": lambda emit, call, x: emit("minimum", emit("maximum", x, "0.0"), "6.0"),
    "relax.nn.leakyrelu": _leaky,
    "relax.nn.prelu": _prelu,
    "relax.nn.silu": lambda emit, call, x: emit("multiply", x, emit("sigmoid", x)),
    "relax.nn.gelu": _gelu,
    "relax.nn.gelu_tanh": _gelu_tanh,
    "relax.nn.softplus": _softplus,
    "relax.clip": lambda emit, call, x, low, high: emit("minimum", emit("maximum", x, low), high),
    "relax.square": lambda emit, call, x: emit("multiply", x, x),
    "relax.rsqrt": lambda emit, call, x: emit("divide", "1.0", emit("sqrt", x)),
    "relax.astype": lambda emit, call, x: emit("where", x, "1.0", "0.0"),
}


def steps_of_call(call: Any) -> Callable[..., str] | None:
    """How a Relax call becomes steps: a function of (emit, call, operands...), or None.

    Which of its arguments are operands and whether their shapes fit is for the caller to see. A
    cast is one of truth to float.
    """
    name = call_name(call) or ""
    if name in _COMPOSED:
        return _COMPOSED[name]
    plain = name.removeprefix("relax.")
    return (lambda emit, call, *operands: emit(plain, *operands)) if plain in _PLAIN else None
