"""Fuse `matmul` by a constant matrix with its bias and activation into one dense call.

    y = relu(add(matmul(x, W), b))   ->   y = call_dps_packed("rtc.dense.relu", (x, W, b))

x is [..., k], W a constant [k, n], b a constant of n values (zeros where there is none). The
kernel template behind the name packs W when it is built. Intermediates that someone else reads
stay where they are, and the fusion ends before them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
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

__all__ = ["DENSE", "fuse_dense"]

DENSE = "rtc.dense"

_ACTIVATIONS = {"relax.nn.relu": "relu"}


@dataclass(frozen=True)
class _Dense:
    source: Any
    weight: Any
    bias: Any
    activation: str


class _Matcher:
    """Reads a chain backwards: activation, bias, matmul; each but the last with a single reader."""

    def __init__(self, function: Any, report: PassReport) -> None:
        self._bound = bindings(function)
        self._uses = use_counts(function)
        self._report = report

    def match(self, call: Any) -> _Dense | None:
        """The dense layer that ends in `call`, or None."""
        name = call_name(call)
        if name in _ACTIVATIONS:
            inner = self._only_reader(call.args[0])
            dense = self._biased(inner) or self._plain(inner)
            if dense is None:
                return None
            return _Dense(dense.source, dense.weight, dense.bias, _ACTIVATIONS[name])
        return self._biased(call) or self._plain(call)

    def _only_reader(self, expression: Any) -> Any:
        return self._bound.get(expression) if self._uses.get(expression) == 1 else None

    def _plain(self, call: Any) -> _Dense | None:
        if call_name(call) != "relax.matmul":
            return None
        source, weight = call.args
        matrix = constant_array(weight)
        extents = shape_of(source)
        if matrix is None or matrix.ndim != 2 or extents is None or len(extents) < 2:
            return None
        if str(matrix.dtype) != "float32" or dtype_of(source) != "float32":
            self._report.refused.append(f"matmul of {dtype_of(source)} by {matrix.dtype}")
            return None
        zeros = relax.const(np.zeros(matrix.shape[1], "float32"))
        return _Dense(source, weight, zeros, "none")

    def _biased(self, call: Any) -> _Dense | None:
        if call_name(call) != "relax.add":
            return None
        for operand, other in (call.args, tuple(reversed(call.args))):
            bias = constant_array(other)
            dense = self._plain(self._only_reader(operand))
            if bias is None or dense is None:
                continue
            columns = int(dense.weight.ty.shape.values[1])
            if bias.size not in (1, columns) or (bias.ndim and bias.shape[-1] != bias.size):
                continue
            row = np.ascontiguousarray(np.broadcast_to(bias.reshape(-1), (columns,)))
            return _Dense(dense.source, dense.weight, relax.const(row), "none")
        return None


@relax.expr_functor.mutator
class _Rewriter(relax.PyExprMutator):
    def __init__(self, mod: IRModule, report: PassReport) -> None:
        super().__init__(mod)
        self._report = report
        self._matcher = _Matcher(mod["main"], report)

    def visit_call_(self, op: Any) -> Any:
        dense = self._matcher.match(op)
        if dense is None:
            return super().visit_call_(op)
        self._report.applied += 1
        arguments = [self.visit_expr(dense.source), dense.weight, dense.bias]
        return relax.op.call_dps_packed(
            f"{DENSE}.{dense.activation}", relax.Tuple(arguments), out_ty=op.ty
        )


def fuse_dense(mod: IRModule, report: PassReport) -> IRModule:
    """Rewrite every dense layer of `main`. Idempotent."""
    return rewrite_main(mod, _Rewriter(mod, report))
