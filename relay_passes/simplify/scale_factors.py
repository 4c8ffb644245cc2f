"""Scale the smaller factor of a product, not the product.

    divide(matmul(a, b), c)     ->   matmul(divide(a, c), b)
    multiply(matmul(a, b), c)   ->   matmul(multiply(a, c), b), or of b where that is smaller

c is one number, neither tiny nor huge, a and b are not constants, and the factor has fewer values
than the product, which nobody else reads. Attention divides [heads, fields, fields] scores a row by
the root of a head's width: its queries are [heads, fields, width]. Exact up to rounding.
"""

from __future__ import annotations

import math
from typing import Any

from tvm import relax, tirx
from tvm.ir import IRModule

from rtcompile.relay_passes.matching import (
    bindings,
    call_name,
    constant_array,
    rewrite_main,
    shape_of,
    use_counts,
)
from rtcompile.relay_passes.report import PassReport

__all__ = ["scale_factors"]

# By less, or its inverse, a factor could leave the range of float32 where a product does not.
_LEAST_SCALE = 1e-6


@relax.expr_functor.mutator
class _Rewriter(relax.PyExprMutator):
    def __init__(self, mod: IRModule, report: PassReport) -> None:
        super().__init__(mod)
        self._report = report
        self._bound = bindings(mod["main"])
        self._uses = use_counts(mod["main"])

    def visit_call_(self, op: Any) -> Any:
        found = self._scaled_product(op)
        if found is None:
            return super().visit_call_(op)
        product, scale = found
        sizes = [_elements(factor) for factor in product.args]
        smaller = 0 if sizes[0] <= sizes[1] else 1
        if sizes[smaller] >= _elements(op):
            return super().visit_call_(op)
        self._report.applied += 1
        factors = [self.visit_expr(factor) for factor in product.args]
        scaled = relax.Call(op.op, [factors[smaller], scale], op.attrs)
        factors[smaller] = self.builder_.emit(scaled)
        return relax.Call(product.op, factors, product.attrs)

    def _scaled_product(self, op: Any) -> tuple[Any, Any] | None:
        """(matmul, the number that it is multiplied or divided by), else None."""
        name = call_name(op)
        if name not in ("relax.multiply", "relax.divide"):
            return None
        pairs = [tuple(op.args)]
        if name == "relax.multiply":
            pairs.append(tuple(reversed(op.args)))
        for operand, factor in pairs:
            scale, product = constant_array(factor), self._bound.get(operand, operand)
            if scale is None or scale.size != 1 or call_name(product) != "relax.matmul":
                continue
            if not _LEAST_SCALE <= abs(float(scale.reshape(()))) <= 1 / _LEAST_SCALE:
                continue
            known = [isinstance(arg, relax.Var) and _elements(arg) > 0 for arg in product.args]
            if all(known) and self._uses.get(operand) == 1 and _elements(op) > 0:
                return product, relax.const(scale.reshape(()), str(scale.dtype))
        return None


def _elements(expression: Any) -> int:
    """Values for each row of the batch, on whichever axis that is; 0 where that is not known."""
    extents = shape_of(expression) or (None,)
    if any(not isinstance(extent, int | tirx.Var) for extent in extents):
        return 0
    return math.prod(extent for extent in extents if isinstance(extent, int))


def scale_factors(mod: IRModule, report: PassReport) -> IRModule:
    """Rewrite every such product of `main`. Idempotent."""
    return rewrite_main(mod, _Rewriter(mod, report))
