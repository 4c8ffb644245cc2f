"""Compute in float32 what a graph has in float16 or bfloat16.

    y = matmul(x, W)    float16        ->   a = astype(x, "float32")
                                            b = matmul(a, W)         W as float32
                                            y = astype(b, "float16")

Inputs and outputs keep their types. What lies between is not rounded, so that a sum over hundreds
of values is as exact as in float32; but what a step depends on is rounded as the graph says: a
cast, a comparison, a rounding, the place of a maximum. A kernel, and an operator that fixes its
result's type, read halves as before.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm import relax
from tvm.ir import GenericConst, IRModule

from rtcompile.relay_passes.matching import bindings, call_name, constant_array
from rtcompile.relay_passes.report import PassReport

__all__ = ["widen_halves"]

_HALVES = ("float16", "bfloat16")
# The least change of what these read may change their results as a whole.
_STEPS = frozenset(
    f"relax.{name}"
    for name in (
        *("equal", "not_equal", "less", "less_equal", "greater", "greater_equal"),
        *("argmax", "argmin", "argsort", "sort", "topk"),
        *("floor", "ceil", "round", "trunc", "sign", "floor_mod", "mod", "isinf", "isfinite"),
    )
)
_CAST = "relax.astype"


def widen_halves(mod: IRModule, report: PassReport) -> IRModule:
    """Rewrite `main` where it computes in halves; counts the operators. Idempotent."""
    main = mod["main"]
    calls = [value for value in bindings(main).values() if isinstance(value, relax.Call)]
    if not any(_half(call) and call_name(call) != _CAST for call in calls):
        return mod
    block = relax.BlockBuilder()
    widening = _Widening(block, report)
    with block.function("main", list(main.params), attrs=dict(main.attrs or {})):
        with block.dataflow():
            output = block.emit_output(widening.result(main))
        block.emit_func_output(output)
    widened = mod.clone()
    widened.update_func(widened.get_global_var("main"), block.get()["main"])
    return relax.transform.DeadCodeElimination(["main"])(widened)


def _half(value: Any) -> str:
    """The half type of a tensor, or of one in a tuple; "" where there is none."""
    for ty in value.ty.fields if isinstance(value.ty, relax.TupleType) else [value.ty]:
        if isinstance(ty, relax.TensorType) and str(ty.dtype) in _HALVES:
            return str(ty.dtype)
    return ""


class _Widening:
    """Emits the bindings of a function anew. `_new`: what stands for a variable of it."""

    def __init__(self, block: Any, report: PassReport) -> None:
        self._block, self._report = block, report
        self._new: dict[Any, Any] = {}

    def result(self, main: Any) -> Any:
        """The function's result, in its own types."""
        bound = bindings(main)
        for var, value in bound.items():
            new = self._value(value)
            self._new[var] = new if isinstance(new, relax.Var) else self._block.emit(new)
        result = bound.get(main.body.body, main.body.body)
        if isinstance(result, relax.Tuple):
            return relax.Tuple([self._narrow(field) for field in result.fields])
        new, half = self._new.get(main.body.body, main.body.body), _half(main.body.body)
        return relax.op.astype(new, half) if half and not _half(new) else new

    def _value(self, value: Any) -> Any:
        if isinstance(value, relax.TupleGetItem):
            return relax.TupleGetItem(self._wide(value.tuple_value), value.index)
        if not isinstance(value, relax.Call):
            return self._wide(value)
        halves = [half for half in map(_half, [value, *_tensors(value.args)]) if half]
        if not halves:
            return self._call(value, [self._wide(argument) for argument in value.args])
        if call_name(value) == _CAST:
            return self._cast(value)
        self._report.applied += 1
        return self._computed(value, halves[0])

    def _cast(self, value: Any) -> Any:
        (source,), target = value.args, str(value.ty.dtype)
        wide = self._wide(source)
        if target in _HALVES:
            return relax.op.astype(self._block.emit(relax.op.astype(wide, target)), "float32")
        if target == "float32":
            return wide
        return relax.op.astype(self._rounded(source, wide), target)

    def _computed(self, value: Any, half: str) -> Any:
        """An operator in float32, or as it was where it gives another type then."""
        name = call_name(value)
        kernel = name is None or name.startswith("relax.call_")
        if not kernel:
            arguments = [self._wide(argument) for argument in value.args]
            if name in _STEPS:
                pairs = zip(value.args, arguments, strict=True)
                arguments = [self._rounded(argument, wide) for argument, wide in pairs]
            call = self._call(value, arguments)
            if _half(call) == "":
                return call
        narrow = [self._narrow(argument) for argument in value.args]
        types = value.ty_args if kernel else []
        return self._widened(self._block.emit(relax.Call(value.op, narrow, value.attrs, types)))

    def _call(self, value: Any, arguments: list[Any]) -> Any:
        return self._block.normalize(relax.Call(value.op, arguments, value.attrs, value.ty_args))

    def _wide(self, value: Any) -> Any:
        """`value`, which is one of the old function's, in float32 where it has halves."""
        if isinstance(value, relax.Tuple):
            return relax.Tuple([self._wide(field) for field in value.fields])
        if isinstance(value, GenericConst) and _half(value):
            array = constant_array(value)
            assert array is not None
            return relax.const(array.astype(np.float32), "float32")
        if isinstance(value, relax.Var) and value not in self._new and _half(value):
            self._new[value] = self._widened(value)
        return self._new.get(value, value) if isinstance(value, relax.Var) else value

    def _widened(self, value: Any) -> Any:
        if not isinstance(value.ty, relax.TupleType):
            return self._block.emit(relax.op.astype(value, "float32")) if _half(value) else value
        items = [relax.TupleGetItem(value, i) for i in range(len(value.ty.fields))]
        return relax.Tuple([self._widened(self._block.emit(item)) for item in items])

    def _rounded(self, value: Any, wide: Any) -> Any:
        """As the old function has the value, in float32."""
        half = _half(value)
        if not half or isinstance(value, GenericConst | relax.Tuple):
            return wide
        narrow = self._block.emit(relax.op.astype(wide, half))
        return self._block.emit(relax.op.astype(narrow, "float32"))

    def _narrow(self, value: Any) -> Any:
        """`value`, which is one of the old function's, in its own type."""
        if isinstance(value, relax.Tuple):
            return relax.Tuple([self._narrow(field) for field in value.fields])
        if not isinstance(value, relax.Var):
            return value
        new = self._new.get(value, value)
        half = _half(value)
        return self._block.emit(relax.op.astype(new, half)) if half and not _half(new) else new


def _tensors(arguments: Any) -> list[Any]:
    """The tensors among arguments and in tuples of them."""
    found: list[Any] = []
    for argument in arguments:
        if isinstance(argument, relax.Tuple):
            found += _tensors(argument.fields)
        elif isinstance(getattr(argument, "ty", None), relax.TensorType | relax.TupleType):
            found.append(argument)
    return found
