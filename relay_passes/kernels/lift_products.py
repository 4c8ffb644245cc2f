"""Turn each product with a constant matrix into a call of the dense template, and nothing else.

    matmul(x, W)   ->   call_dps_packed("rtc.dense", (x, W, zeros))

x is [..., k], W a constant [k, m]. What `fuse_dense` would draw into the call stays outside: this
pass stands in its place where a build is made without fusion, so that both have the same kernel for
the product itself.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm import relax
from tvm.ir import IRModule

from rtcompile.relay_passes.kernels.fuse_dense import DENSE
from rtcompile.relay_passes.matching import (
    call_name,
    constant_array,
    dtype_of,
    rewrite_main,
    shape_of,
)
from rtcompile.relay_passes.report import PassReport

__all__ = ["lift_products"]


@relax.expr_functor.mutator
class _Rewriter(relax.PyExprMutator):
    def __init__(self, mod: IRModule, report: PassReport) -> None:
        super().__init__(mod)
        self._report = report

    def visit_call_(self, op: Any) -> Any:
        if call_name(op) != "relax.matmul":
            return super().visit_call_(op)
        source, weight = op.args
        matrix, extents = constant_array(weight), shape_of(source)
        if matrix is None or matrix.ndim != 2 or extents is None or len(extents) < 2:
            return super().visit_call_(op)
        if str(matrix.dtype) != "float32" or dtype_of(source) != "float32":
            self._report.refused.append(f"matmul of {dtype_of(source)} by {matrix.dtype}")
            return super().visit_call_(op)
        self._report.applied += 1
        zeros = relax.const(np.zeros(matrix.shape[1], "float32"))
        arguments = relax.Tuple([self.visit_expr(source), weight, zeros])
        return relax.op.call_dps_packed(DENSE, arguments, out_ty=op.ty)


def lift_products(mod: IRModule, report: PassReport) -> IRModule:
    """Rewrite every such product of `main`. Idempotent."""
    return rewrite_main(mod, _Rewriter(mod, report))
