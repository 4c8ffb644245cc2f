"""Fold constant scales and shifts, inference batch normalisation above all, into dense layers.

    matmul(x * s + h, W)          ->   matmul(x, diag(s) W) + h W
    (matmul(x, W) + b) * s + h    ->   matmul(x, W diag(s)) + (b s + h)
    ((x - m) / d) * g + b         ->   x * (g / d) + (b - m g / d)          before neither

s and h are constants; the first is found through concat, reshape and permute_dims too, where
products alone read what these make. Sums are reordered and factors multiplied in float64: exact up
to rounding. Where a shift is beyond `_LARGEST_SHIFT` the difference x - m would be lost in float32,
and the operators stay.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import relax
from tvm.ir import IRModule

from rtcompile.relay_passes.matching import (
    bindings,
    call_name,
    constant_array,
    dtype_of,
    reads,
    rewrite_main,
    shape_of,
)
from rtcompile.relay_passes.report import PassReport

__all__ = ["fold_affines"]

_LARGEST_SHIFT = 64.0
_SHORTEST_CHAIN = 3

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Target:
    """The function that is built: `emit` adds an operator to it, `moved` is a variable in it."""

    emit: Callable[[Any], Any]
    moved: Callable[[Any], Any]


@dataclass(frozen=True)
class _Affine:
    """make(target) * scale + shift; both broadcast to the extents behind the batch."""

    make: Callable[[_Target], Any]
    scale: Array
    shift: Array
    length: int = 0  # operators of the chain


class _Finder:
    """Reads chains of operators by constants backwards."""

    def __init__(self, function: Any) -> None:
        self.bound = bindings(function)
        self.readers: dict[Any, list[Any]] = {}
        for var, value in self.bound.items():
            for read in dict.fromkeys(reads(value)):
                self.readers.setdefault(read, []).append(var)
        self._result = function.body.body

    def chain(self, var: Any, shared: bool = False) -> tuple[Any, _Affine] | None:
        """(what the chain that ends in `var` starts from, the chain); None without an operator.

        It goes on through a value that others read too where it may be `shared`.
        """
        extents = _trailing(var)
        if extents is None:
            return None
        step = _step(self.bound.get(var), extents)
        if step is None:
            return None
        operand, scale, shift = step
        alone = shared or len(self.readers.get(operand, ())) == 1
        inner = self.chain(operand, shared) if alone else None
        if inner is None:
            return operand, _Affine(lambda to: to.moved(operand), scale, shift, 1)
        base, known = inner
        whole = replace(
            known, scale=known.scale * scale, shift=known.shift * scale + shift,
            length=known.length + 1,
        )  # fmt: skip
        return base, whole

    def folded(self, var: Any) -> _Affine | None:
        """`var` without the scales and shifts in it, through layouts; None where it has none."""
        found = self.chain(var, shared=True)
        if found is not None:
            base, affine = found
            inner = self.folded(base)
            if inner is None:
                return affine
            scale, shift = inner.scale * affine.scale, inner.shift * affine.scale + affine.shift
            return _Affine(inner.make, scale, shift)
        value, extents = self.bound.get(var), _trailing(var)
        layout = {
            "relax.reshape": self._reshaped,
            "relax.permute_dims": self._permuted,
            "relax.concat": self._joined,
        }.get(call_name(value) or "")
        if layout is None or extents is None or not self._only_products(var):
            return None
        return layout(value, extents)

    def _only_products(self, var: Any) -> bool:
        """Whether dense layers alone read `var`, perhaps through other layouts."""
        for reader in self.readers.get(var, ()):
            value = self.bound[reader]
            name = call_name(value)
            if name == "relax.matmul" and constant_array(value.args[1]) is not None:
                continue
            layout = name in ("relax.reshape", "relax.permute_dims", "relax.concat")
            if not layout or not self._only_products(reader):
                return False
        return not var.same_as(self._result)

    def _reshaped(self, value: Any, extents: tuple[int, ...]) -> _Affine | None:
        source = _trailing(value.args[0])
        shapes = shape_of(value), shape_of(value.args[0])
        inner = self.folded(value.args[0])
        if inner is None or source is None or str(shapes[0][0]) != str(shapes[1][0]):  # type: ignore[index]
            return None
        scale, shift = (np.broadcast_to(a, source).reshape(extents) for a in _both(inner))
        make = inner.make
        return _Affine(lambda to: to.emit(relax.op.reshape(make(to), value.args[1])), scale, shift)

    def _permuted(self, value: Any, extents: tuple[int, ...]) -> _Affine | None:
        source = _trailing(value.args[0])
        inner = self.folded(value.args[0])
        if inner is None or source is None or value.attrs.axes is None:
            return None
        axes = [int(axis) % (len(source) + 1) for axis in value.attrs.axes]
        if axes[0] != 0:
            return None
        order = [axis - 1 for axis in axes[1:]]
        scale, shift = (np.broadcast_to(a, source).transpose(order) for a in _both(inner))
        make = inner.make
        return _Affine(lambda to: to.emit(relax.op.permute_dims(make(to), axes)), scale, shift)

    def _joined(self, value: Any, extents: tuple[int, ...]) -> _Affine | None:
        parts = self.bound.get(value.args[0], value.args[0])
        axis = int(value.attrs.axis) % (len(extents) + 1)
        if not isinstance(parts, relax.Tuple) or axis == 0:
            return None
        if not all(isinstance(p, relax.Var) and _trailing(p) for p in parts.fields):
            return None
        inner = [self.folded(part) for part in parts.fields]
        if all(part is None for part in inner):
            return None
        plain = [
            known or _Affine(lambda to, part=part: to.moved(part), np.ones(()), np.zeros(()))  # type: ignore[misc]
            for known, part in zip(inner, parts.fields, strict=True)
        ]
        shapes = [_trailing(part) or () for part in parts.fields]
        scale, shift = (
            np.concatenate(list(map(np.broadcast_to, arrays, shapes)), axis - 1)
            for arrays in zip(*map(_both, plain), strict=True)
        )

        def make(to: _Target) -> Any:
            return to.emit(relax.op.concat([part.make(to) for part in plain], axis))

        return _Affine(make, scale, shift)


def _both(affine: _Affine) -> tuple[Array, Array]:
    return affine.scale, affine.shift


def _trailing(var: Any) -> tuple[int, ...] | None:
    """Extents behind the batch of a float32 tensor that has one, if all are numbers."""
    if not isinstance(var.ty, relax.TensorType):
        return None
    shape = shape_of(var)
    if shape is None or len(shape) < 2 or dtype_of(var) != "float32":
        return None
    return shape[1:] if all(isinstance(extent, int) for extent in shape[1:]) else None


def _step(value: Any, extents: tuple[int, ...]) -> tuple[Any, Array, Array] | None:
    """(operand, scale, shift) of an operator by a constant that keeps the operand's shape."""
    name = (call_name(value) or "").removeprefix("relax.")
    if name not in ("add", "subtract", "multiply", "divide"):
        return None
    left, right = value.args
    swapped = constant_array(left) is not None
    operand, constant = (right, left) if swapped else (left, right)
    array = constant_array(constant)
    if array is None or not isinstance(operand, relax.Var) or _trailing(operand) != extents:
        return None
    if array.ndim > len(extents):
        if array.ndim > len(extents) + 1 or array.shape[0] != 1:
            return None
        array = array[0]
    known, one = array.astype(np.float64), np.ones(())
    if name == "add":
        return operand, one, known
    if name == "subtract":
        return (operand, -one, known) if swapped else (operand, one, -known)
    if name == "multiply":
        return operand, known, np.zeros(())
    usable = not swapped and bool((known != 0).all())
    return (operand, 1 / known, np.zeros(())) if usable else None


def _row(array: Array, extents: tuple[int, ...]) -> Array | None:
    """The one row [k] of a constant that is the same along all axes but the last; else None."""
    rows = np.broadcast_to(array, extents).reshape(-1, extents[-1])
    return rows[0] if (rows == rows[0]).all() else None


def _shifts(affine: _Affine, extents: tuple[int, ...]) -> Array:
    """The shifts as one row, or as wide as they are where rows differ."""
    row = _row(affine.shift, extents)
    return np.broadcast_to(affine.shift, extents) if row is None else row


@relax.expr_functor.mutator
class _Rewriter(relax.PyExprMutator):
    def __init__(self, mod: IRModule, report: PassReport) -> None:
        super().__init__(mod)
        self._report = report
        self._finder = _Finder(mod["main"])
        self._var: Any = None

    def visit_var_binding_(self, binding: Any) -> None:
        self._var = binding.var
        super().visit_var_binding_(binding)

    def visit_call_(self, op: Any) -> Any:
        rewritten = None
        if call_name(op) == "relax.matmul":
            rewritten = self._before(op)
        elif _trailing(self._var) is not None:
            rewritten = self._behind(self._var)
        if rewritten is None:
            return super().visit_call_(op)
        self._report.applied += 1
        return rewritten

    def _emit(self, expression: Any) -> Any:
        return self.builder_.emit(expression)

    def _new(self, affine: _Affine) -> Any:
        """What a chain starts from, in the new function."""

        return affine.make(_Target(self._emit, self.visit_expr))

    def _before(self, op: Any) -> Any:
        """matmul(x * s + h, W)"""
        found = self._unscaled(op)
        if found is None:
            return None
        source, wide, shifts = found
        product = relax.op.matmul(source, relax.const(wide.astype(np.float32)))
        if not shifts.any():
            return product
        return relax.op.add(self._emit(product), relax.const(shifts.astype(np.float32)))

    def _unscaled(self, matmul: Any) -> tuple[Any, Array, Array] | None:
        """(x, diag(s) W, h W) of matmul(x * s + h, W); None where nothing can be folded."""
        source, weight = matmul.args
        matrix, extents = constant_array(weight), _trailing(source)
        if matrix is None or matrix.ndim != 2 or extents is None or matrix.dtype != np.float32:
            return None
        affine = self._finder.folded(source)
        if affine is None or not self._holds(affine, extents):
            return None
        if not np.isfinite(matrix).all():
            self._report.refused.append("a matrix has a value that is not finite")
            return None
        scale = _row(affine.scale, extents)
        if scale is None:
            self._report.refused.append("scales before a product differ along another axis")
            return None
        wide = matrix.astype(np.float64)
        return self._new(affine), scale[:, None] * wide, _shifts(affine, extents) @ wide

    def _behind(self, var: Any) -> Any:
        """(matmul(x, W) + b) * s + h, or a long chain behind something else."""
        found = self._finder.chain(var)
        if found is None or self._continues(var):
            return None
        base, affine = found
        extents = _trailing(var)
        assert extents is not None
        matmul = self._finder.bound.get(base)
        alone = len(self._finder.readers.get(base, ())) == 1
        if call_name(matmul) == "relax.matmul" and alone and self._private(var, base):
            scaled = self._scaled(matmul, affine, extents)
            if scaled is not None:
                return scaled
        if affine.length < _SHORTEST_CHAIN or not self._holds(affine, extents):
            return None
        scale, shift = (relax.const(np.asarray(a, np.float32)) for a in _both(affine))
        return relax.op.add(self._emit(relax.op.multiply(self._new(affine), scale)), shift)

    def _continues(self, var: Any) -> bool:
        """Whether the only reader of `var` is the next operator of its chain."""
        readers = self._finder.readers.get(var, [])
        return len(readers) == 1 and self._finder.chain(readers[0]) is not None

    def _private(self, var: Any, base: Any) -> bool:
        """Whether nobody reads what lies between the base of a chain and its end."""
        at = base
        while not at.same_as(var):
            readers = self._finder.readers.get(at, [])
            if len(readers) != 1:
                return False
            at = readers[0]
        return True

    def _scaled(self, matmul: Any, affine: _Affine, extents: tuple[int, ...]) -> Any:
        """(matmul(x, W) + b) * s + h, with what is before the product folded too."""
        source, weight = matmul.args
        matrix, scale = constant_array(weight), _row(affine.scale, extents)
        if matrix is None or matrix.ndim != 2 or scale is None or (scale == 1).all():
            return None
        if not all(np.isfinite(array).all() for array in _both(affine)):
            self._report.refused.append("a scale behind a product is not finite")
            return None
        inner, wide, before = self._unscaled(matmul) or (
            self.visit_expr(source),
            matrix.astype(np.float64),
            np.zeros(()),
        )
        with np.errstate(over="ignore", invalid="ignore"):
            folded = (wide * scale).astype(np.float32)
        if np.isfinite(wide).all() and not np.isfinite(folded).all():
            self._report.refused.append("a scale behind a product leaves the range of float32")
            return None
        product = relax.op.matmul(inner, relax.const(folded))
        shifts = _shifts(affine, extents) + before * scale
        return relax.op.add(self._emit(product), relax.const(shifts.astype(np.float32)))

    def _holds(self, affine: _Affine, extents: tuple[int, ...]) -> bool:
        largest = float(np.abs(affine.shift).max(initial=0))
        finite = bool(np.isfinite(affine.scale).all() and np.isfinite(affine.shift).all())
        if not finite or largest > _LARGEST_SHIFT:
            self._report.refused.append(f"a shift of {largest:.3g} would lose the difference")
            return False
        return True


def fold_affines(mod: IRModule, report: PassReport) -> IRModule:
    """Rewrite every such layer and chain of `main`. Idempotent."""
    return rewrite_main(mod, _Rewriter(mod, report))
