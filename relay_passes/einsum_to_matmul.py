"""Turn an einsum that is a product by a constant matrix into a matmul.

    einsum("ab,bc->ac", x, W)     ->   matmul(x, W)
    einsum("...k,nk->...n", x, W) ->   matmul(x, transpose(W))

x may have any axes before the contracted one, which is its last; W is a constant of two axes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm import relax
from tvm.ir import IRModule

from relay_passes.matching import call_name, constant_array, rewrite_main
from relay_passes.report import PassReport

__all__ = ["einsum_to_matmul"]


@relax.expr_functor.mutator
class _Rewriter(relax.PyExprMutator):
    def __init__(self, mod: IRModule, report: PassReport) -> None:
        super().__init__(mod)
        self._report = report

    def visit_call_(self, op: Any) -> Any:
        call = super().visit_call_(op)
        if call_name(call) != "relax.einsum":
            return call
        equation = str(call.attrs.subscripts).replace(" ", "")
        operands = list(call.args[0].fields) if isinstance(call.args[0], relax.Tuple) else []
        if len(operands) != 2 or "->" not in equation:
            return call
        matrix = constant_array(operands[1])
        order = _orientation(equation)
        if matrix is None or matrix.ndim != 2 or order is None:
            self._report.refused.append(f"einsum {equation}: not a product by a constant matrix")
            return call
        self._report.applied += 1
        weight = matrix if order == "kn" else np.ascontiguousarray(matrix.T)
        return relax.op.matmul(operands[0], relax.const(weight))


def _orientation(equation: str) -> str | None:
    """ "kn" or "nk", how W lies, or None where the equation is no such product."""
    left, result = equation.split("->")
    source, weight = left.split(",")
    if len(weight) != 2 or not source or not result or len(set(source)) != len(source):
        return None
    contracted = source[-1]
    if contracted not in weight or contracted in result:
        return None
    free = weight.replace(contracted, "")
    if free in source or result != source[:-1] + free:
        return None
    return "kn" if weight[0] == contracted else "nk"


def einsum_to_matmul(mod: IRModule, report: PassReport) -> IRModule:
    """Rewrite every such einsum of `main`. Idempotent."""
    return rewrite_main(mod, _Rewriter(mod, report))
