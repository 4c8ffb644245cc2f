"""Legalise operators whose TIR by TVM has another value than they, and the others as TVM does.

    sign(NaN)                    NaN; TVM has 0
    argmax, argmin               the first of equal values, NaN before all as numpy has it; an axis
                                 of -inf, or of the least integer, gives 0. TVM starts at index -1
                                 with the lowest finite number
    max_pool                     what pads is -inf, not the lowest finite number; a NaN is passed
                                 over, as by ONNX's evaluator and by ONNX Runtime
    take                         as TVM's, without its warning (`legalize_take.py`)
    x * 0.0, 0.0 / x, x + 0.0    computed: a number that TVM sees, it folds. -0.0 + 0.0 is 0.0,
                                 inf * 0.0 NaN

What follows from operators that meet in one kernel is `exact_values.py`'s.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tvm_ffi
from tvm import te, tirx, topi

from rtcompile.relay_passes.exact.legalize_take import legalize_take
from rtcompile.relay_passes.matching import constant_array, dtype_of

__all__ = ["EXACT_LEGALIZATIONS"]

Legalize = Callable[[Any, Any], Any]


def _default(bb: Any, call: Any) -> Any:
    """As TVM legalises the operator."""
    return call.op.get_attr("FLegalize")(bb, call)


def _sign(bb: Any, call: Any) -> Any:
    if not dtype_of(call).startswith("float"):
        return _default(bb, call)

    def sign(x: Any) -> Any:
        one, zero = tirx.const(1.0, x.dtype), tirx.const(0.0, x.dtype)

        def value(*at: Any) -> Any:
            below = tirx.Select(x(*at) < zero, -one, x(*at))
            return tirx.Select(x(*at) > zero, one, below)

        return te.compute(x.shape, value, name="T_sign", tag=topi.tag.ELEMWISE)

    return bb.call_te(sign, *call.args, primfunc_name_hint="tir_sign")


# -- where the extreme of an axis is ------------------------------------------------------------


def _arg_extreme(largest: bool) -> Legalize:
    def legalize(bb: Any, call: Any) -> Any:
        if call.attrs.axis is None or dtype_of(call.args[0]) in ("bool", "bfloat16"):
            return _default(bb, call)
        axis, keepdims = int(call.attrs.axis), bool(call.attrs.keepdims)
        hint = "argmax" if largest else "argmin"
        return bb.call_te(
            lambda x: _arg_of_axis(x, axis % len(x.shape), keepdims, largest),
            call.args[0],
            primfunc_name_hint=hint,
        )

    return legalize


def _arg_of_axis(x: Any, axis: int, keepdims: bool, largest: bool) -> Any:
    reduced = te.reduce_axis((0, x.shape[axis]), name="k")
    kept = [1 if i == axis else extent for i, extent in enumerate(x.shape)]
    shape = kept if keepdims else [*kept[:axis], *kept[axis + 1 :]]
    reducer = te.comm_reducer(
        lambda left, right: _earlier_extreme(left, right, largest),
        lambda index, value: (tirx.max_value(index), _worst(value, largest)),
        name="extreme",
    )

    def pairs(*at: Any) -> Any:
        others = at[:axis] + (at[axis + 1 :] if keepdims else at[axis:])
        element = x(*others[:axis], reduced, *others[axis:])
        return reducer((reduced.var.astype("int64"), element), axis=reduced)

    index, _ = te.compute(tuple(shape), pairs, name="extreme")
    return te.compute(tuple(shape), index, name="index")


def _worst(dtype: str, largest: bool) -> Any:
    if dtype.startswith("float"):
        return tirx.const(-np.inf if largest else np.inf, dtype)
    return tirx.min_value(dtype) if largest else tirx.max_value(dtype)


def _earlier_extreme(left: Any, right: Any, largest: bool) -> tuple[Any, Any]:
    """Of two (index, value)."""
    (i, a), (j, b) = left, right
    beyond, equal = (a > b if largest else a < b), tirx.EQ(a, b)
    if str(a.ty).startswith("float"):
        a_none, b_none = tirx.isnan(a), tirx.isnan(b)
        beyond = tirx.Or(beyond, tirx.And(a_none, tirx.Not(b_none)))
        equal = tirx.Or(equal, tirx.And(a_none, b_none))
    first = tirx.Or(beyond, tirx.And(equal, i < j))
    return tirx.Select(first, i, j), tirx.Select(first, a, b)


# -- pooling ------------------------------------------------------------------------------------


def _max_pool(bb: Any, call: Any) -> Any:
    """TVM's, which pads with the lowest finite number: that becomes -inf. NaN counts as nothing."""
    legal = _default(bb, call)
    dtype = dtype_of(call)
    if legal.same_as(call) or dtype not in ("float16", "float32", "float64"):
        return legal
    lowest = float(np.finfo(dtype).min)

    def padding(value: Any) -> Any:
        return tirx.const(-np.inf, dtype) if float(value.value) == lowest else value

    def larger(node: Any) -> Any:
        return tirx.Select(node.b > node.a, node.b, node.a)

    kernel = legal.args[0]
    rules = [(tirx.FloatImm, padding), (tirx.Max, larger)]
    function = tvm_ffi.structural_map(bb.get()[kernel], rules)
    bb.update_func(kernel, function)
    return legal


# -- numbers that are not folded ----------------------------------------------------------------


def _unfolded(compute: Any) -> Legalize:
    """A binary operator; where one operand is 0.0, as a tensor of one value."""

    def legalize(bb: Any, call: Any) -> Any:
        if any(_is_zero(argument) for argument in call.args):
            return bb.call_te(compute, *call.args)
        return _default(bb, call)

    return legalize


def _is_zero(argument: Any) -> bool:
    array = constant_array(argument)
    if array is None or array.ndim or array.dtype.kind in "biu":
        return False
    return float(array) == 0.0


EXACT_LEGALIZATIONS: dict[str, Legalize] = {
    "relax.sign": _sign,
    "relax.take": legalize_take,
    "relax.argmax": _arg_extreme(largest=True),
    "relax.argmin": _arg_extreme(largest=False),
    **{f"relax.nn.max_pool{d}d": _max_pool for d in (1, 2, 3)},
    "relax.add": _unfolded(topi.add),
    "relax.subtract": _unfolded(topi.subtract),
    "relax.multiply": _unfolded(topi.multiply),
    "relax.divide": _unfolded(topi.divide),
}
