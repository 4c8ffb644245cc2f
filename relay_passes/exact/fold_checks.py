"""Take out the checks that are known to pass, once constants are folded.

    rtc.check_index.10.wrap.T(constant)        ->   the constant, negative ones counted from the end
    rtc.check_index.10.wrap.T(ids in [0, 9])   ->   astype(ids, int64)
    rtc.check_divisor.zero(constant)           ->   the constant

A constant that does not pass is refused: no request could be answered.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import relax
from tvm.ir import IRModule

from rtcompile.relay_passes.analysis.value_ranges import ValueRanges
from rtcompile.relay_passes.dialect.checked_values import (
    CHECK_DIVISOR,
    CHECK_INDEX,
    CHECK_NUMBER,
    index_extents,
    index_wraps,
    is_lengths,
    table_label,
)
from rtcompile.relay_passes.errors import PassError
from rtcompile.relay_passes.matching import (
    bindings,
    constant_array,
    dtype_of,
    kernel_symbol,
    rewrite_main,
)
from rtcompile.relay_passes.report import PassReport

__all__ = ["fold_checks"]


def _constants(function: Any) -> dict[Any, npt.NDArray[Any]]:
    """What the checks of constants give, by variable. Raises PassError where one does not pass."""
    found = {}
    for var, value in bindings(function).items():
        fold = next((fold for check, fold in _FOLDED.items() if _is_of(value, check)), None)
        array = constant_array(value.args[1].fields[0]) if fold else None
        if fold is not None and array is not None:
            found[var] = fold(kernel_symbol(value), array, dtype_of(value))
    return found


def _is_of(value: Any, check: str) -> bool:
    return kernel_symbol(value).startswith(f"{check}.")


@relax.expr_functor.mutator
class _Rewriter(relax.PyExprMutator):
    def __init__(self, mod: IRModule, report: PassReport) -> None:
        super().__init__(mod)
        self._report = report
        self._ranges = ValueRanges(bindings(mod["main"]))
        self._constants = _constants(mod["main"])
        self._var: Any = None

    def visit_var_binding_(self, binding: Any) -> None:
        self._var = binding.var
        super().visit_var_binding_(binding)

    def visit_call_(self, op: Any) -> Any:
        if self._var in self._constants:
            self._report.applied += 1
            array = self._constants[self._var]
            return relax.const(array, str(array.dtype))
        if not _is_of(op, CHECK_INDEX) or not self._is_bounded(op):
            return super().visit_call_(op)
        self._report.applied += 1
        new = self.visit_expr(op.args[1].fields[0])
        return new if dtype_of(new) == "int64" else relax.op.astype(new, "int64")

    def _is_bounded(self, op: Any) -> bool:
        (source,), extents = op.args[1].fields, index_extents(kernel_symbol(op))
        found = [self._ranges.of(source)]
        if len(extents) > 1:
            found = self._ranges.columns(source, len(extents))
        pairs = zip(found, extents, strict=True)
        return all(one is not None and one.within(0, extent - 1) for one, extent in pairs)


def _index(symbol: str, array: npt.NDArray[Any], dtype: str) -> npt.NDArray[Any]:
    extents, ids = np.array(index_extents(symbol)), array.astype(np.int64)
    wrapped = np.where(ids < 0, ids + extents, ids) if index_wraps(symbol) else ids
    if ((wrapped < 0) | (wrapped >= extents)).any():
        bad = ids[(wrapped < 0) | (wrapped >= extents)].flat[0]
        label = table_label(symbol)
        if is_lengths(label):
            raise PassError(f"the constant {bad} is none of the {label.replace('_', ' ')}")
        raise PassError(f"the constant index {bad} is outside an axis of {extents.max()} places")
    return wrapped


def _number(symbol: str, array: npt.NDArray[Any], dtype: str) -> npt.NDArray[Any]:
    if not np.isfinite(array).all():
        raise PassError("a constant index is not finite")
    if array.dtype.kind in "iu" and (array.astype(dtype) != array).any():
        raise PassError(f"a constant index of {array.dtype} does not fit into {dtype}")
    return array.astype(dtype)


def _divisor(symbol: str, array: npt.NDArray[Any], dtype: str) -> npt.NDArray[Any]:
    if (array == 0).any():
        raise PassError("integers are divided by a constant zero")
    return np.where(array == -1, 1, array).astype(dtype) if symbol.endswith("unit") else array


_FOLDED = {CHECK_INDEX: _index, CHECK_NUMBER: _number, CHECK_DIVISOR: _divisor}


def fold_checks(mod: IRModule, report: PassReport) -> IRModule:
    """Fold the checks of `main` that pass for sure. Idempotent."""
    return rewrite_main(mod, _Rewriter(mod, report))
