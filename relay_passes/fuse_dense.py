"""Fuse `matmul` by a constant matrix with what is added to it and its activation into one call.

    relu(add(matmul(x, W), b))          ->   call_dps_packed("rtc.dense.relu", (x, W, b))
    relu(add(add(matmul(x, W), r), b))  ->   call_dps_packed("rtc.dense.relu.each", (x, W, b, r))

x is [..., k], W a constant [k, m], b a constant of m values (zeros where there is none). The
kernel template behind the name packs W when it is built. A tensor r that is added (the share of an
earlier stage, a residual) is read by the kernel; its form says which row of r belongs to a row of
x, which is [n, ..., k] with M rows of x for each n:

    each      r is [n, ..., m]   the same row
    divM      r is [n, 1, m]     one row for M rows of x
    modM      r is [1, M, m]     M rows, over and over
    one       r is [1, 1, m]     one row for all

Intermediates that someone else reads stay where they are, and the fusion ends before them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
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

_ACTIVATIONS = {"relax.nn.relu": "relu", "relax.sigmoid": "sigmoid", "relax.tanh": "tanh"}
_MOST_ADDENDS = 3


@dataclass(frozen=True)
class _Dense:
    source: Any
    weight: Any
    bias: npt.NDArray[np.float32]
    activation: str = "none"
    addends: tuple[tuple[str, Any], ...] = ()

    @property
    def name(self) -> str:
        """The name of the call."""
        return ".".join([DENSE, self.activation, *(form for form, _ in self.addends)])


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
            dense = self._sum(self._only_reader(call.args[0]))
            return None if dense is None else replace(dense, activation=_ACTIVATIONS[name])
        return self._sum(call, whole=True)

    def _only_reader(self, expression: Any) -> Any:
        return self._bound.get(expression) if self._uses.get(expression) == 1 else None

    def _plain(self, call: Any, whole: bool) -> _Dense | None:
        """A matmul alone; refused once, where it is the `whole` of what is matched."""
        if call_name(call) != "relax.matmul":
            return None
        source, weight = call.args
        matrix = constant_array(weight)
        extents = shape_of(source)
        if matrix is None or matrix.ndim != 2 or extents is None or len(extents) < 2:
            return None
        if str(matrix.dtype) != "float32" or dtype_of(source) != "float32":
            if whole:
                self._report.refused.append(f"matmul of {dtype_of(source)} by {matrix.dtype}")
            return None
        return _Dense(source, weight, np.zeros(matrix.shape[1], "float32"))

    def _sum(self, call: Any, whole: bool = False) -> _Dense | None:
        """A matmul, or the sum of one and of what can be added to it."""
        if call_name(call) != "relax.add":
            return self._plain(call, whole)
        for operand, other in (call.args, tuple(reversed(call.args))):
            # A product that is broadcast to what is added to it has fewer rows than the sum.
            if not isinstance(operand, relax.Var) or not _same_shape(operand, call):
                continue
            dense = self._sum(self._only_reader(operand))
            added = None if dense is None else self._added(dense, other, shape_of(call))
            if added is not None:
                return added
        return None

    def _added(self, dense: _Dense, other: Any, shape: Any) -> _Dense | None:
        columns = dense.bias.shape[0]
        bias = constant_array(other)
        if bias is not None:
            if bias.size not in (1, columns) or (bias.ndim and bias.shape[-1] != bias.size):
                return None
            row = np.broadcast_to(bias.reshape(-1), (columns,))
            return replace(dense, bias=dense.bias + row.astype(np.float32))
        form = _form(shape_of(other), shape)
        if form is None or dtype_of(other) != "float32" or len(dense.addends) == _MOST_ADDENDS:
            return None
        return replace(dense, addends=(*dense.addends, (form, other)))


def _same_shape(a: Any, b: Any) -> bool:
    left, right = shape_of(a), shape_of(b)
    return left is not None and right is not None and list(map(str, left)) == list(map(str, right))


def _form(addend: tuple[Any, ...] | None, result: tuple[Any, ...] | None) -> str | None:
    """Which row of an addend belongs to a row of the result; None where there is no simple rule."""
    if addend is None or result is None or len(addend) != len(result) or len(result) < 2:
        return None
    if str(addend[-1]) != str(result[-1]) or any(not isinstance(e, int) for e in result[1:]):
        return None
    repeats = math.prod(result[1:-1])
    by_row = str(addend[0]) == str(result[0])
    inner = addend[1:-1]
    if not by_row and addend[0] != 1:
        return None
    if inner == result[1:-1]:
        if by_row:
            return "each"
        return f"mod{repeats}" if repeats > 1 else "one"
    if all(extent == 1 for extent in inner):
        return f"div{repeats}" if by_row else "one"
    return None


@relax.expr_functor.mutator
class _Rewriter(relax.PyExprMutator):
    def __init__(self, mod: IRModule, report: PassReport) -> None:
        super().__init__(mod)
        self._matcher = _Matcher(mod["main"], report)

    def visit_call_(self, op: Any) -> Any:
        dense = self._matcher.match(op)
        if dense is None:
            return super().visit_call_(op)
        addends = [self.visit_expr(addend) for _, addend in dense.addends]
        arguments = [self.visit_expr(dense.source), dense.weight, relax.const(dense.bias), *addends]
        return relax.op.call_dps_packed(dense.name, relax.Tuple(arguments), out_ty=op.ty)


def fuse_dense(mod: IRModule, report: PassReport) -> IRModule:
    """Rewrite every dense layer of `main`. Idempotent."""
    rewritten = rewrite_main(mod, _Rewriter(mod, report))
    # Not as they are matched: a layer is, from its matmul on, and only its end is left.
    report.applied += _layers(rewritten) - _layers(mod)
    return rewritten


def _layers(mod: IRModule) -> int:
    values = bindings(mod["main"]).values()
    kernels = [v.args[0] for v in values if call_name(v) == "relax.call_dps_packed"]
    return sum(str(kernel.global_symbol).startswith(f"{DENSE}.") for kernel in kernels)
