"""A tensor as a linear form of values that are known earlier, along its last axis.

    x @ W  =  sum over terms of  atom @ W_atom  (+ a constant row)

    concat((a, b), -1) @ W        a @ W[:k] + b @ W[k:]
    (a - b) @ W                   a @ W - b @ W
    (a * c) @ W                   a @ (diag(c) W)            c a constant along the last axis
    (a * ones) @ W                a @ W, broadcast           an expansion over other axes
    reshape(a) @ W                reshape(a @ W)             where the last axis stays

Only what straddles binding times is taken apart: a value that is known early is an atom as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import relax

from rtcompile.relay_passes.analysis.binding_times import BindingTime
from rtcompile.relay_passes.matching import call_name, constant_array, shape_of

__all__ = ["LinearForm", "Term", "linear_form"]

Array = npt.NDArray[np.float32]

_THROUGH_VIEWS = ("relax.concat", "relax.reshape")


@dataclass
class Term:
    """`atom` @ `weight`, its leading extents then seen as `leading`."""

    atom: Any
    weight: Array
    leading: tuple[Any, ...]


@dataclass
class LinearForm:
    """The terms, each atom and view once, and the constant row."""

    terms: list[Term] = field(default_factory=list)
    constant: Array | None = None

    def add(self, atom: Any, weight: Array, leading: tuple[Any, ...]) -> None:
        """Add a term, to the one of the same atom if there is one."""
        for term in self.terms:
            if term.atom.same_as(atom) and _same(term.leading, leading):
                term.weight = term.weight + weight
                return
        self.terms.append(Term(atom, weight, leading))


def _same(a: tuple[Any, ...], b: tuple[Any, ...]) -> bool:
    return len(a) == len(b) and all(str(x) == str(y) for x, y in zip(a, b, strict=True))


def linear_form(
    expression: Any,
    weight: Array,
    bound: Mapping[Any, Any],
    times: Mapping[Any, BindingTime],
) -> LinearForm:
    """`expression` @ `weight` taken apart. float32 [..., k] by [k, m]."""
    form = LinearForm()
    _Decomposition(bound, times, form).visit(expression, weight, None)
    return form


class _Decomposition:
    def __init__(
        self, bound: Mapping[Any, Any], times: Mapping[Any, BindingTime], form: LinearForm
    ) -> None:
        self._bound, self._times, self._form = bound, times, form

    def visit(self, x: Any, weight: Array, view: tuple[Any, ...] | None) -> None:
        """Add the terms of x @ weight, whose leading extents are then seen as `view`."""
        shape = shape_of(x)
        assert shape is not None
        leading = shape[:-1] if view is None else view
        value = self._bound.get(x)
        name = call_name(value)
        handler = {
            "relax.concat": self._concat,
            "relax.add": self._sum,
            "relax.subtract": self._sum,
            "relax.multiply": self._scaled,
            "relax.reshape": self._reshaped,
        }.get(name or "")
        if name not in _THROUGH_VIEWS and not _same(leading, shape[:-1]):
            handler = None  # its operands, broadcast, have no view of their own
        early = self._times.get(x) is not BindingTime.CROSS
        expands = name in ("relax.multiply", "relax.reshape")
        if handler is not None and (not early or expands) and handler(value, weight, leading):
            return
        self._form.add(x, weight, leading)

    def _concat(self, value: Any, weight: Array, leading: tuple[Any, ...]) -> bool:
        parts = self._bound.get(value.args[0], value.args[0])
        shape = shape_of(value)
        if not isinstance(parts, relax.Tuple) or shape is None:
            return False
        if int(value.attrs.axis) % len(shape) != len(shape) - 1:
            return False
        widths = [(shape_of(part) or (None,))[-1] for part in parts.fields]
        if any(not isinstance(width, int) for width in widths):
            return False
        if not all(isinstance(part, relax.Var) for part in parts.fields):
            return False
        at = 0
        for part, width in zip(parts.fields, widths, strict=True):
            self.visit(part, weight[at : at + width], leading)
            at += width
        return True

    def _sum(self, value: Any, weight: Array, leading: tuple[Any, ...]) -> bool:
        left, right = value.args
        operands = [arg for arg in (left, right) if isinstance(arg, relax.Var)]
        shapes = [shape_of(operand) for operand in operands]
        if len(operands) < 2 or any(s is None or s[-1] != weight.shape[0] for s in shapes):
            return False
        if any(len(s or ()) != len(leading) + 1 for s in shapes):
            return False
        if all(self._times[operand] is BindingTime.CROSS for operand in operands):
            return False
        sign = -1 if call_name(value) == "relax.subtract" else 1
        self.visit(left, weight, None)
        self.visit(right, np.float32(sign) * weight, None)
        return True

    def _scaled(self, value: Any, weight: Array, leading: tuple[Any, ...]) -> bool:
        """By a constant: along the last axis, or by the same everywhere else."""
        source, factor = value.args
        if constant_array(source) is not None:
            source, factor = factor, source
        scale, shape = constant_array(factor), shape_of(source)
        if scale is None or shape is None or shape[-1] != weight.shape[0]:
            return False
        if len(shape) != len(leading) + 1 or scale.ndim > len(shape) or not scale.size:
            return False
        rows = np.broadcast_to(scale, (*scale.shape[:-1], weight.shape[0])) if scale.ndim else scale
        rows = np.broadcast_to(rows, (1, weight.shape[0])) if not scale.ndim else rows
        rows = rows.reshape(-1, weight.shape[0])
        if not (rows == rows[0]).all():
            return False
        self.visit(source, rows[0][:, None] * weight, None)
        return True

    def _reshaped(self, value: Any, weight: Array, leading: tuple[Any, ...]) -> bool:
        source = shape_of(value.args[0])
        if source is None or source[-1] != weight.shape[0] or len(source) < 2:
            return False
        self.visit(value.args[0], weight, leading)
        return True
