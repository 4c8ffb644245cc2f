"""Swap the last two axes of a tensor after what is done to it, not before.

    relu(permute(x))                    ->   permute(relu(x)), and any other element-wise operator
    add(permute(x), b [m, 1])           ->   permute(add(x, b [m]))
    add(permute(x), permute(y))         ->   permute(add(x, y))
    split(permute(x), axis=1)[i]        ->   permute(split(x, axis=2)[i])
    concat(permute(x), permute(y), 1)   ->   permute(concat(x, y, 2))
    sum(permute(x), axis=2)             ->   sum(x, axis=1)
    permute(permute(x))                 ->   x

x is [n, k, m], permute swaps k and m. A convolution of width one leaves such a permute behind its
matmul (`pointwise_conv_to_matmul.py`); behind it bias and activation, where `fuse_dense` looks for
them, and the next layer's permute, which it cancels.
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
    static_int,
)
from rtcompile.relay_passes.report import PassReport

__all__ = ["sink_permutes"]

_UNARY = tuple(f"relax.{name}" for name in ("tanh", "sigmoid", "exp", "nn.relu", "negative"))
_BINARY = tuple(f"relax.{name}" for name in ("add", "subtract", "multiply", "divide"))
_SWAPPED = (0, 2, 1)


@relax.expr_functor.mutator
class _Rewriter(relax.PyExprMutator):
    def __init__(self, mod: IRModule, report: PassReport) -> None:
        super().__init__(mod)
        self._report = report
        self._bound = bindings(mod["main"])
        # What a variable is the permuted form of, and the split of what a split's operand was.
        self._inner: dict[Any, Any] = {}
        self._splits: dict[Any, Any] = {}

    def visit_var_binding_(self, binding: Any) -> None:
        super().visit_var_binding_(binding)
        value = self.builder_.lookup_binding(self.visit_expr(binding.var))
        if _is_swap(value):
            self._inner[binding.var] = value.args[0]
        if call_name(binding.value) == "relax.split":
            self._note_split(binding)

    def _note_split(self, binding: Any) -> None:
        inner = self._inner.get(binding.value.args[0])
        if inner is not None:
            axis, at = int(binding.value.attrs.axis) % 3, binding.value.attrs.indices_or_sections
            if axis:
                cuts = static_int(at) if static_int(at) is not None else [int(cut) for cut in at]
                parts = relax.op.split(inner, cuts, _SWAPPED[axis])
                self._splits[binding.var] = self.builder_.emit(parts)

    def visit_tuple_getitem_(self, op: Any) -> Any:
        if op.tuple_value not in self._splits:
            return super().visit_tuple_getitem_(op)
        part = self.builder_.emit(relax.TupleGetItem(self._splits[op.tuple_value], op.index))
        return self._swap(part)

    def _swap(self, value: Any) -> Any:
        self._report.applied += 1
        return relax.op.permute_dims(value, list(_SWAPPED))

    def visit_call_(self, op: Any) -> Any:
        name = call_name(op)
        if name in _UNARY and op.args[0] in self._inner:
            return self._swap(self._emit(relax.Call(op.op, [self._inner[op.args[0]]], op.attrs)))
        if _is_swap(op) and op.args[0] in self._inner:
            self._report.applied += 1
            return self._inner[op.args[0]]
        rules = {"relax.concat": self._concat, "relax.sum": self._sum}
        rule = self._binary if name in _BINARY else rules.get(name or "")
        sunk = rule(op) if rule else None
        return super().visit_call_(op) if sunk is None else sunk

    def _emit(self, value: Any) -> Any:
        return self.builder_.emit(value)

    def _binary(self, op: Any) -> Any:
        shape = shape_of(op)
        operands = [self._operand(arg, shape) for arg in op.args]
        permuted = [isinstance(a, relax.Var) and a in self._inner for a in op.args]
        if shape is None or not any(permuted) or any(operand is None for operand in operands):
            return None
        return self._swap(self._emit(relax.Call(op.op, operands, op.attrs)))

    def _operand(self, operand: Any, shape: tuple[Any, ...] | None) -> Any:
        """What takes an operand's place before the permute; None where nothing simple does."""
        array = constant_array(operand)
        if array is None:
            same = str(shape_of(operand)) == str(shape)
            return self._inner.get(operand) if same else None
        if array.ndim > 3 or (array.ndim == 3 and array.shape[0] != 1):
            return None
        wide = array.reshape((1,) * (3 - array.ndim) + array.shape)
        swapped = np.ascontiguousarray(np.swapaxes(wide, 1, 2))
        return relax.const(swapped[0] if array.ndim else array, str(array.dtype))

    def _concat(self, op: Any) -> Any:
        parts = self._bound.get(op.args[0], op.args[0])
        shape = shape_of(op)
        if not isinstance(parts, relax.Tuple) or shape is None or len(shape) != 3:
            return None
        axis = _SWAPPED[int(op.attrs.axis) % 3]
        known = all(isinstance(p, relax.Var) and p in self._inner for p in parts.fields)
        if not axis or not known:
            return None
        inner = [self._inner[part] for part in parts.fields]
        return self._swap(self._emit(relax.op.concat(inner, axis)))

    def _sum(self, op: Any) -> Any:
        inner = self._inner.get(op.args[0])
        axes = op.attrs.axis
        if inner is None or axes is None or len(axes) != 1 or bool(op.attrs.keepdims):
            return None
        axis = _SWAPPED[int(axes[0]) % 3]
        if not axis:
            return None
        self._report.applied += 1
        return relax.op.sum(inner, [axis], False)


def _is_swap(value: Any) -> bool:
    if call_name(value) != "relax.permute_dims" or value.attrs.axes is None:
        return False
    return [int(axis) for axis in value.attrs.axes] == list(_SWAPPED)


def sink_permutes(mod: IRModule, report: PassReport) -> IRModule:
    """Rewrite every such operator of `main`. Idempotent: a permute ends where it is read."""
    return rewrite_main(mod, _Rewriter(mod, report))
