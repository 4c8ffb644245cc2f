"""Turn a convolution of width one into a matmul over the channels.

    conv1d(x, W)   ->   permute(matmul(permute(x, (0, 2, 1)), W[:, :, 0]^T), (0, 2, 1))

x is [n, channels, width], W a constant [outputs, channels, 1], stride 1, no padding, one group.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm import relax
from tvm.ir import IRModule

from rtcompile.relay_passes.matching import call_name, constant_array, rewrite_main
from rtcompile.relay_passes.report import PassReport

__all__ = ["pointwise_conv_to_matmul"]


@relax.expr_functor.mutator
class _Rewriter(relax.PyExprMutator):
    def __init__(self, mod: IRModule, report: PassReport) -> None:
        super().__init__(mod)
        self._report = report

    def visit_call_(self, op: Any) -> Any:
        call = super().visit_call_(op)
        if call_name(call) != "relax.nn.conv1d":
            return call
        source, weight = call.args
        kernel = constant_array(weight)
        reason = _refusal(call.attrs, kernel)
        if reason:
            self._report.refused.append(f"conv1d: {reason}")
            return call
        assert kernel is not None
        self._report.applied += 1
        matrix = relax.const(np.ascontiguousarray(kernel[:, :, 0].T))
        rows = self.builder_.emit(relax.op.permute_dims(source, [0, 2, 1]))
        product = self.builder_.emit(relax.op.matmul(rows, matrix))
        return relax.op.permute_dims(product, [0, 2, 1])


def _refusal(attrs: Any, kernel: Any) -> str:
    if kernel is None:
        return "the kernel is not a constant"
    if kernel.shape[2] != 1:
        return f"the kernel is {kernel.shape[2]} wide"
    if int(attrs.groups) != 1 or [int(s) for s in attrs.strides] != [1]:
        return "it has groups or a stride"
    if any(int(p) for p in attrs.padding) or str(attrs.data_layout) != "NCW":
        return "it has padding or another layout"
    return ""


def pointwise_conv_to_matmul(mod: IRModule, report: PassReport) -> IRModule:
    """Rewrite every such convolution of `main`. Idempotent."""
    return rewrite_main(mod, _Rewriter(mod, report))
