"""Make a `take` by one constant index a slice: it is read in place, and cannot reach outside.

    take(x, 2, axis)      ->   squeeze(strided_slice(x, axis, [2, 3]), axis)
    take(x, [2], axis)    ->   strided_slice(x, axis, [2, 3])

A negative index counts from the end. One that the axis does not have is an error of the model:
legalised, `take` would read memory that belongs to something else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tvm import relax
from tvm.ir import IRModule

from rtcompile.relay_passes.errors import PassError
from rtcompile.relay_passes.matching import (
    bindings,
    call_name,
    constant_array,
    rewrite_main,
    shape_of,
)
from rtcompile.relay_passes.report import PassReport

__all__ = ["slice_picks"]


@dataclass(frozen=True)
class _Pick:
    axis: int
    at: int
    keeps_axis: bool


def _pick(call: Any, report: PassReport) -> _Pick | None:
    """What a call picks, None where it is no such take. Raises PassError for an index outside."""
    if call_name(call) != "relax.take" or constant_array(call.args[0]) is not None:
        return None
    indices, extents = constant_array(call.args[1]), shape_of(call.args[0])
    if indices is None or indices.size != 1 or indices.ndim > 1 or extents is None:
        return None
    axis = int(call.attrs.axis) % len(extents) if call.attrs.axis is not None else None
    if axis is None or not isinstance(extents[axis], int):
        report.refused.append("take along an axis of unknown extent")
        return None
    index, extent = int(indices.reshape(())[()]), extents[axis]
    if not -extent <= index < extent:
        raise PassError(f"a gather takes element {index} of an axis that has {extent}")
    return _Pick(axis, index % extent, indices.ndim == 1)


@relax.expr_functor.mutator
class _Rewriter(relax.PyExprMutator):
    def __init__(self, mod: IRModule, picks: Mapping[Any, _Pick]) -> None:
        super().__init__(mod)
        self._picks = picks
        self._var: Any = None

    def visit_var_binding_(self, binding: Any) -> None:
        self._var = binding.var
        super().visit_var_binding_(binding)

    def visit_call_(self, op: Any) -> Any:
        pick, call = self._picks.get(self._var), super().visit_call_(op)
        if pick is None:
            return call
        part = relax.op.strided_slice(call.args[0], [pick.axis], [pick.at], [pick.at + 1])
        return part if pick.keeps_axis else relax.op.squeeze(self.builder_.emit(part), [pick.axis])


def slice_picks(mod: IRModule, report: PassReport) -> IRModule:
    """Rewrite every such take of `main`. Idempotent. Raises PassError for an index outside."""
    # Found before the rewriting: an error inside would leave TVM as one of its own.
    found = {var: _pick(value, report) for var, value in bindings(mod["main"]).items()}
    picks = {var: pick for var, pick in found.items() if pick is not None}
    report.applied += len(picks)
    return rewrite_main(mod, _Rewriter(mod, picks))
