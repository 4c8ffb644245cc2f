"""Fold what scales and shifts the columns of a product into its matrix and one bias.

    (matmul(x, W) + b - mean) / deviation * gamma + beta   ->   matmul(x, W') + b'

W' is W with its columns scaled; mean, deviation, gamma, beta are constants of one value, or of one
a column. A batch normalisation of a trained network is of this form. The product and what is in
between must have no other reader, and the factors must be finite.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import relax
from tvm.ir import IRModule

from relay_passes.matching import (
    bindings,
    call_name,
    constant_array,
    dtype_of,
    rewrite_main,
    shape_of,
    use_counts,
)
from relay_passes.report import PassReport

__all__ = ["fold_scales"]

_COMMUTATIVE = ("relax.add", "relax.multiply")
_LEFT_ONLY = ("relax.subtract", "relax.divide")


@dataclass(frozen=True)
class _Scaled:
    """matmul(source, matrix) * scale + shift, a value of each a column."""

    source: Any
    matrix: npt.NDArray[np.float32]
    scale: npt.NDArray[np.float64]
    shift: npt.NDArray[np.float64]
    plain: bool  # nothing but additions so far: one, or none


class _Matcher:
    def __init__(self, function: Any, report: PassReport) -> None:
        self._bound = bindings(function)
        self._uses = use_counts(function)
        self._report = report
        self._inner = {self._operand(value) for value in self._bound.values()}

    def ends(self) -> list[tuple[Any, _Scaled]]:
        """(value, what it is) of each chain's last operator, where there is more than a bias."""
        found = []
        for var, value in self._bound.items():
            if var in self._inner and self._uses.get(var) == 1:
                continue
            scaled = self._chain(value)
            if scaled is None or scaled.plain:
                continue
            if np.isfinite(scaled.scale).all() and np.isfinite(scaled.shift).all():
                found.append((value, scaled))
            else:
                self._report.refused.append(f"{call_name(value)}: a factor is not finite")
        return found

    def _operand(self, value: Any) -> Any:
        """The variable that `value` scales or shifts by a constant a column; None of others."""
        name = call_name(value)
        orders = [(0, 1)] if name in (*_COMMUTATIVE, *_LEFT_ONLY) else []
        orders += [(1, 0)] if name in _COMMUTATIVE else []
        for left, right in orders:
            operand = value.args[left]
            if (
                isinstance(operand, relax.Var)
                and self._column(value, value.args[right]) is not None
            ):
                return operand
        return None

    def _column(self, value: Any, constant: Any) -> npt.NDArray[np.float64] | None:
        """A constant as one value a column of `value`."""
        array, shape = constant_array(constant), shape_of(value)
        if array is None or not shape or not isinstance(shape[-1], int):
            return None
        if array.size not in (1, shape[-1]) or (array.ndim and array.shape[-1] != array.size):
            return None
        if array.ndim > len(shape) or str(array.dtype) != "float32":
            return None
        return np.broadcast_to(array.reshape(-1), (shape[-1],)).astype(np.float64)

    def _chain(self, value: Any) -> _Scaled | None:
        if call_name(value) == "relax.matmul":
            return _product(value)
        operand = self._operand(value)
        if operand is None or self._uses.get(operand) != 1:
            return None
        inner = self._bound.get(operand)  # None of an input
        if inner is None or str(shape_of(operand)) != str(shape_of(value)):
            return None
        scaled = self._chain(inner)
        if scaled is None:
            return None
        other = value.args[1] if value.args[0].same_as(operand) else value.args[0]
        column = self._column(value, other)
        assert column is not None  # the operand was found by it
        return _applied(scaled, call_name(value) or "", column)


def _product(value: Any) -> _Scaled | None:
    source, weight = value.args
    matrix = constant_array(weight)
    if matrix is None or matrix.ndim != 2 or {str(matrix.dtype), dtype_of(source)} != {"float32"}:
        return None
    columns = matrix.shape[1]
    return _Scaled(source, matrix, np.ones(columns), np.zeros(columns), plain=True)


def _applied(scaled: _Scaled, name: str, column: npt.NDArray[np.float64]) -> _Scaled:
    scale, shift = scaled.scale, scaled.shift
    if name == "relax.add":
        plain = scaled.plain and not shift.any()
        return _Scaled(scaled.source, scaled.matrix, scale, shift + column, plain)
    if name == "relax.subtract":
        return _Scaled(scaled.source, scaled.matrix, scale, shift - column, plain=False)
    with np.errstate(all="ignore"):
        factor = column if name == "relax.multiply" else 1.0 / column
        return _Scaled(scaled.source, scaled.matrix, scale * factor, shift * factor, plain=False)


@relax.expr_functor.mutator
class _Rewriter(relax.PyExprMutator):
    def __init__(self, mod: IRModule, report: PassReport) -> None:
        super().__init__(mod)
        self._report = report
        self._ends = dict(_Matcher(mod["main"], report).ends())

    def visit_call_(self, op: Any) -> Any:
        scaled = self._ends.get(op)
        if scaled is None:
            return super().visit_call_(op)
        self._report.applied += 1
        matrix = (scaled.matrix * scaled.scale).astype(np.float32)
        product = relax.op.matmul(self.visit_expr(scaled.source), relax.const(matrix))
        shift = relax.const(scaled.shift.astype(np.float32))
        return relax.op.add(self.builder_.emit(product), shift)


def fold_scales(mod: IRModule, report: PassReport) -> IRModule:
    """Rewrite every such chain of `main`. Idempotent."""
    return rewrite_main(mod, _Rewriter(mod, report))
