"""ReduceLogSumExp, whose largest value may be infinite."""

from __future__ import annotations

from typing import Any

from tvm import relax

from rtcompile.frontends.onnx.operators.node import Node

__all__ = ["LOG_SUM_EXP"]


def _log_sum_exp(node: Node) -> Any:
    """m + log(sum(exp(x - m))); m is the largest value, or 0 where that is not finite.

    Of integers it is computed in float64, and what follows the point goes.
    """
    given = node.dtype(0)
    dtype = given if given.startswith(("float", "bfloat")) else "float64"
    x = node.cast(node.tensor(0), dtype)
    axes, keepdims = node.parameter("axes", 1), bool(node.integer("keepdims", 1))
    if not axes:
        if node.integer("noop_with_empty_axes", 0):
            return node.cast(x, given)
        axes = list(range(len(node.shape(0))))
    most = node.emit(relax.op.max(x, axes, True))
    finite = node.emit(relax.op.isfinite(most))
    most = node.emit(relax.op.where(finite, most, node.scalar(0, dtype)))
    powers = node.emit(relax.op.exp(node.emit(relax.op.subtract(x, most))))
    total = node.emit(relax.op.log(node.emit(relax.op.sum(powers, axes, True))))
    result = node.cast(node.emit(relax.op.add(total, most)), given)
    return result if keepdims else relax.op.squeeze(result, axes)


LOG_SUM_EXP = {"ReduceLogSumExp": _log_sum_exp}
