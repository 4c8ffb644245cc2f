"""Compute element by element before an axis of one is added, not after.

    tanh(reshape(x, (n, p, 1)))                          ->   reshape(tanh(x), (n, p, 1))
    add(reshape(x, (n, p, 1)), b [p, 1])                 ->   reshape(add(x, b [p]), (n, p, 1))
    multiply(reshape(x, (n, p, 1)), reshape(y, (n, p, 1)))  ->   the same of both

x is [n, p]. Bias and activation then stand next to their matmul, where `fuse_dense` finds them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm import relax
from tvm.ir import IRModule

from rtcompile.relay_passes.matching import (
    bindings,
    call_name,
    constant_array,
    rewrite_main,
    shape_of,
)
from rtcompile.relay_passes.report import PassReport

__all__ = ["lower_unit_axes"]

_UNARY = tuple(f"relax.{name}" for name in ("tanh", "sigmoid", "exp", "nn.relu"))
_BINARY = tuple(f"relax.{name}" for name in ("add", "subtract", "multiply"))


@relax.expr_functor.mutator
class _Rewriter(relax.PyExprMutator):
    def __init__(self, mod: IRModule, report: PassReport) -> None:
        super().__init__(mod)
        self._report = report
        # What each new variable is bound to: a chain is rewritten in one sweep.
        self._inner: dict[Any, Any] = {}
        self._bound = bindings(mod["main"])

    def visit_var_binding_(self, binding: Any) -> None:
        super().visit_var_binding_(binding)
        value = self.builder_.lookup_binding(self.visit_expr(binding.var))
        if call_name(value) == "relax.reshape":
            source, target = shape_of(value.args[0]), shape_of(binding.var)
            if source is not None and target is not None and _is_column(source, target):
                self._inner[binding.var] = value.args[0]

    def visit_call_(self, op: Any) -> Any:
        name, shape = call_name(op), shape_of(op) if isinstance(op.ty, relax.TensorType) else None
        if name not in (*_UNARY, *_BINARY) or shape is None:
            return super().visit_call_(op)
        inner = [self._without_axis(arg, shape) for arg in op.args]
        known = any(isinstance(arg, relax.Var) and arg in self._inner for arg in op.args)
        if not known or any(arg is None for arg in inner):
            return super().visit_call_(op)
        self._report.applied += 1
        flat = self.builder_.emit(relax.Call(op.op, inner, op.attrs))
        return relax.op.reshape(flat, relax.ShapeExpr(list(shape)))

    def _without_axis(self, operand: Any, shape: tuple[Any, ...]) -> Any:
        """The operand as [n, p]; None where it is no column."""
        array = constant_array(operand)
        if array is None:
            return self._inner.get(operand)
        if array.size == 1:
            return relax.const(array.reshape(()), array.dtype.name)  # 0-d: without it int32
        if array.ndim in (2, 3) and array.shape[-1] == 1 and array.size == shape[1]:
            return relax.const(np.ascontiguousarray(array.reshape(-1)), array.dtype.name)
        return None


def _is_column(source: tuple[Any, ...], target: tuple[Any, ...]) -> bool:
    """Whether `target` is `source`, [n, p], with an axis of one behind."""
    if len(source) != 2 or len(target) != 3 or target[2] != 1:
        return False
    return [str(e) for e in source] == [str(e) for e in target[:2]]


def lower_unit_axes(mod: IRModule, report: PassReport) -> IRModule:
    """Rewrite every such operator of `main`. Idempotent."""
    return rewrite_main(mod, _Rewriter(mod, report))
