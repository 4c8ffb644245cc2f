"""Compute the outer product that a dense layer reads inside of the layer.

    dense(reshape(a [n, .., h, 1] * b [n, .., 1, m], (n, .., h * m)), W, bias)
        ->   call_dps_packed("rtc.outer_dense.STEPS", (a [n, .., h], b [n, .., m], W, bias))
    dense(permute(reshape(a [n, h, 1, d] * b [n, 1, m, d], (n, h * m, d)), (0, 2, 1)), W, bias)
        ->   the same of permute(a), permute(b)

The products, h * m values for each row, are never stored: this is a layer of a compressed
interaction network (xDeepFM's), or an outer product layer before its matrix. Of a tensor with
itself only m >= h is multiplied, by the sum of the two rows of W:

    call_dps_packed("rtc.outer_dense.symmetric.STEPS", (a, a, W [h * (h + 1) / 2, columns], bias))

Exact up to the order of the sums.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import relax
from tvm.ir import IRModule

from rtcompile.relay_passes.kernels.fuse_dense import DENSE
from rtcompile.relay_passes.matching import (
    bindings,
    call_name,
    constant_array,
    kernel_symbol,
    rewrite_main,
    shape_of,
)
from rtcompile.relay_passes.report import PassReport

__all__ = ["OUTER_DENSE", "SYMMETRIC", "fuse_outer_products"]

OUTER_DENSE = "rtc.outer_dense"
SYMMETRIC = "symmetric"

# The row of products that the kernel keeps beside its accumulators, and the smallest worth it.
_WIDEST, _NARROWEST = 128, 4


@relax.expr_functor.mutator
class _Rewriter(relax.PyExprMutator):
    def __init__(self, mod: IRModule, report: PassReport) -> None:
        super().__init__(mod)
        self._report = report
        self._bound = bindings(mod["main"])
        self._turned: dict[Any, Any] = {}

    def visit_call_(self, op: Any) -> Any:
        kernel = kernel_symbol(op)
        dense = kernel == DENSE or kernel.startswith(f"{DENSE}.")
        fields = op.args[1].fields if dense else []
        factors = self._factors(fields[0]) if len(fields) == 3 else None
        if factors is None:
            return super().visit_call_(op)
        left, right, swapped = factors
        matrix, width = constant_array(fields[1]), _width(right, swapped)
        assert matrix is not None  # fuse_dense matched a constant
        if not _NARROWEST <= width <= _WIDEST:
            self._report.refused.append(f"an outer product of {width} columns")
            return super().visit_call_(op)
        self._report.applied += 1
        name = OUTER_DENSE
        if left.same_as(right):
            name, matrix = f"{name}.{SYMMETRIC}", _folded(matrix, width)
        name += kernel.removeprefix(DENSE)
        sources = [self._source(factor, swapped) for factor in (left, right)]
        arguments = relax.Tuple([*sources, relax.const(matrix), fields[2]])
        return relax.op.call_dps_packed(name, arguments, out_ty=op.ty)

    def _source(self, factor: Any, swapped: bool) -> Any:
        """A factor with the axis that is multiplied behind."""
        if not swapped:
            return self.visit_expr(factor)
        value: Any = self._bound.get(factor)
        if _swaps(value):
            return self.visit_expr(value.args[0])
        if factor not in self._turned:
            turned = relax.op.permute_dims(self.visit_expr(factor), [0, 2, 1])
            self._turned[factor] = self.builder_.emit(turned)
        return self._turned[factor]

    def _factors(self, source: Any) -> tuple[Any, Any, bool] | None:
        """(a, b, whether their last two axes are to be swapped) of an outer product, else None."""
        value: Any = self._bound.get(source)
        swapped = _swaps(value)
        joined: Any = self._bound.get(value.args[0]) if swapped else value
        if call_name(joined) != "relax.reshape":
            return None
        product: Any = self._bound.get(joined.args[0])
        target = shape_of(joined)
        shape = shape_of(joined.args[0])
        if call_name(product) != "relax.multiply" or shape is None or target is None:
            return None
        behind = 1 if swapped else 0  # axes behind the two that are joined
        if len(shape) < 3 + behind or (swapped and len(shape) != 4):
            return None
        at = len(shape) - 2 - behind
        merged = [*shape[:at], math.prod(shape[at : at + 2]), *shape[at + 2 :]]
        if [str(e) for e in merged] != [str(e) for e in target]:
            return None
        return self._ordered(product.args, shape, at, swapped)

    def _ordered(
        self, operands: Any, shape: tuple[Any, ...], at: int, swapped: bool
    ) -> tuple[Any, Any, bool] | None:
        rows = [*shape[: at + 1], 1, *shape[at + 2 :]]
        columns = [*shape[:at], 1, *shape[at + 1 :]]
        wanted = [[str(e) for e in extents] for extents in (rows, columns)]
        for pair in (operands, list(reversed(operands))):
            views: list[Any] = [self._bound.get(operand) for operand in pair]
            if [[str(e) for e in shape_of(operand) or ()] for operand in pair] != wanted:
                continue
            if any(call_name(view) != "relax.reshape" for view in views):
                return None
            found = [view.args[0] for view in views]
            narrow = rows[: at + 1] + rows[at + 2 :], columns[:at] + columns[at + 1 :]
            if all(_is(*pair) for pair in zip(found, narrow, strict=True)):
                return found[0], found[1], swapped
        return None


def _is(expression: Any, extents: list[Any]) -> bool:
    """Whether a variable has these extents."""
    found = shape_of(expression) if isinstance(expression, relax.Var) else None
    return [str(e) for e in found or ()] == [str(e) for e in extents]


def _swaps(value: Any) -> bool:
    if call_name(value) != "relax.permute_dims" or value.attrs.axes is None:
        return False
    return [int(axis) for axis in value.attrs.axes] == [0, 2, 1]


def _width(factor: Any, swapped: bool) -> int:
    return int((shape_of(factor) or ())[-2 if swapped else -1])


def _folded(matrix: npt.NDArray[np.float32], width: int) -> npt.NDArray[np.float32]:
    """W by pairs (h, m >= h): the rows of (h, m) and (m, h) added."""
    square = matrix.reshape(width, width, -1)
    both = square + square.swapaxes(0, 1)
    both[np.arange(width), np.arange(width)] = square[np.arange(width), np.arange(width)]
    return np.ascontiguousarray(both[np.triu_indices(width)])


def fuse_outer_products(mod: IRModule, report: PassReport) -> IRModule:
    """Rewrite every such layer of `main`. Idempotent."""
    return rewrite_main(mod, _Rewriter(mod, report))
