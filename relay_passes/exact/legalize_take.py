"""Legalise take to a plain load; its indices are in bounds by now (`check_indices.py`).

    take(x, ids, axis=1)  ->  out[i, j, k] = x[i, ids[j], k]

TVM's own has the same TIR, but warns on stderr of indices out of bounds each time.
"""

from __future__ import annotations

from typing import Any

from tvm import te, topi

__all__ = ["legalize_take"]


def legalize_take(bb: Any, call: Any) -> Any:
    """A call_tir that takes along an axis; what goes by another mode, as TVM legalises it."""
    mode, axis = str(call.attrs.mode), call.attrs.axis
    if mode != "fast" or axis is None:
        return call.op.get_attr("FLegalize")(bb, call)
    return bb.call_te(_take, *call.args, int(axis), primfunc_name_hint="take")


def _take(x: Any, ids: Any, axis: int) -> Any:
    first = axis % len(x.shape)
    at_ids = ids.shape if isinstance(ids, te.Tensor) else ()
    last = first + len(at_ids)

    def element(*at: Any) -> Any:
        index = ids(*at[first:last]) if isinstance(ids, te.Tensor) else ids
        return x(*at[:first], index, *at[last:])

    shape = [*x.shape[:first], *at_ids, *x.shape[first + 1 :]]
    return te.compute(shape, element, name="T_take", tag=topi.tag.INJECTIVE)
