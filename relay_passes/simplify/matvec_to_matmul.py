"""Turn a product of a constant matrix by a column of each row into a product of the rows.

    matmul(W, x)   ->   reshape(matmul(reshape(x, (n, k)), transpose(W)), (n, p, 1))

W is a constant [p, k], x is [n, k, 1]. As it stands it is n products by a vector each; the rows
together are one dense layer.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm import relax
from tvm.ir import IRModule

from rtcompile.relay_passes.matching import call_name, constant_array, rewrite_main, shape_of
from rtcompile.relay_passes.report import PassReport

__all__ = ["matvec_to_matmul"]


@relax.expr_functor.mutator
class _Rewriter(relax.PyExprMutator):
    def __init__(self, mod: IRModule, report: PassReport) -> None:
        super().__init__(mod)
        self._report = report

    def visit_call_(self, op: Any) -> Any:
        call = super().visit_call_(op)
        if call_name(call) != "relax.matmul":
            return call
        matrix, shape = constant_array(op.args[0]), shape_of(op.args[1])
        if matrix is None or matrix.ndim != 2 or shape is None:
            return call
        if len(shape) != 3 or shape[2] != 1 or not isinstance(shape[1], int):
            self._report.refused.append(f"matmul of a matrix by {len(shape)} axes: no column a row")
            return call
        self._report.applied += 1
        emit = self.builder_.emit
        rows = emit(relax.op.reshape(call.args[1], relax.ShapeExpr([shape[0], shape[1]])))
        weight = relax.const(np.ascontiguousarray(matrix.T))
        product = emit(relax.op.matmul(rows, weight))
        return relax.op.reshape(product, relax.ShapeExpr([shape[0], matrix.shape[0], 1]))


def matvec_to_matmul(mod: IRModule, report: PassReport) -> IRModule:
    """Rewrite every such product of `main`. Idempotent."""
    return rewrite_main(mod, _Rewriter(mod, report))
