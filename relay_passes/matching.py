"""Small questions about Relax expressions that several passes ask."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import relax, tirx
from tvm.ir import GenericConst, IRModule

__all__ = [
    "bindings",
    "call_name",
    "constant_array",
    "dtype_of",
    "expanded_source",
    "integers",
    "kernel_symbol",
    "reads",
    "rewrite_main",
    "shape_of",
    "static_int",
    "use_counts",
]


def call_name(expression: Any) -> str | None:
    """Name of the operator that `expression` calls, such as "relax.add", or None."""
    if isinstance(expression, relax.Call) and hasattr(expression.op, "name"):
        return str(expression.op.name)
    return None


def kernel_symbol(expression: Any) -> str:
    """Name of the kernel that `expression` calls, such as "rtc.softmax.8", or ""."""
    if call_name(expression) != "relax.call_dps_packed":
        return ""
    return str(expression.args[0].global_symbol)


def constant_array(expression: Any) -> npt.NDArray[Any] | None:
    """The value of a constant, not to be written to, or None where `expression` is not one."""
    if not isinstance(expression, GenericConst):
        return None
    array: npt.NDArray[Any]
    if str(expression.value.dtype) == "bfloat16":  # numpy has none
        array = expression.value.numpy()
        return array
    array = np.from_dlpack(expression.value)  # a table is not copied
    array.flags.writeable = False
    return array


def shape_of(expression: Any) -> tuple[Any, ...] | None:
    """Extents of a tensor, each an int or a symbolic expression; None if its rank is unknown."""
    ty = expression.ty
    if not isinstance(ty, relax.TensorType) or ty.shape is None:
        return None
    if not hasattr(ty.shape, "values"):
        return None
    return tuple(
        static_int(extent) if static_int(extent) is not None else extent
        for extent in ty.shape.values
    )


def dtype_of(expression: Any) -> str:
    """Element type of a tensor, such as "float32"."""
    return str(expression.ty.dtype)


def expanded_source(value: Any) -> Any:
    """x of an expansion as imported, multiply(x, ones) of another shape than x; else None."""
    if call_name(value) != "relax.multiply":
        return None
    for source, factor in (value.args, tuple(reversed(value.args))):
        array = constant_array(factor)
        if array is None or not isinstance(source, relax.Var) or not (array == 1).all():
            continue
        if str(shape_of(source)) != str(shape_of(value)):
            return source
    return None


def integers(argument: Any) -> list[int] | None:
    """The values of a tuple of numbers, such as the axes of a slice; None where one is symbolic."""
    fields = argument.fields if isinstance(argument, relax.Tuple) else []
    values = [static_int(getattr(field, "value", field)) for field in fields]
    return None if None in values or not values else [v for v in values if v is not None]


def static_int(extent: Any) -> int | None:
    """The value of a constant extent, or None where it is symbolic."""
    if isinstance(extent, int):
        return extent
    if isinstance(extent, tirx.IntImm):
        return int(extent.value)
    return None


def bindings(function: Any) -> dict[Any, Any]:
    """What each variable of a straight-line function is bound to, in order."""
    return {b.var: b.value for block in function.body.blocks for b in block.bindings}


def reads(expression: Any) -> list[Any]:
    """The variables that an expression of a straight-line function reads, each once.

    (`post_order_visit` goes through the types of variables too: seconds for a split in hundreds.)
    """
    if isinstance(expression, relax.Var):
        return [expression]
    if isinstance(expression, relax.Call):
        inner = expression.args
    elif isinstance(expression, relax.Tuple):
        inner = expression.fields
    else:
        inner = [expression.tuple_value] if isinstance(expression, relax.TupleGetItem) else []
    return list(dict.fromkeys(var for part in inner for var in reads(part)))


def use_counts(function: Any) -> dict[Any, int]:
    """How many values of a function read each variable; its result counts as one."""
    values = [*bindings(function).values(), function.body.body]
    return dict(Counter(var for value in values for var in reads(value)))


def rewrite_main(mod: IRModule, mutator: Any) -> IRModule:
    """`mod` itself where `mutator` changes no value of its `main`, else a copy whose `main` went
    through it, dead bindings removed."""
    main = mutator.visit_expr(mod["main"])
    if _same_values(main, mod["main"]):
        return mod
    updated = mod.clone()
    updated.update_func(updated.get_global_var("main"), main)
    return relax.transform.DeadCodeElimination(["main"])(updated)


def _same_values(function: Any, other: Any) -> bool:
    """Whether two functions bind the very same expressions, and give the same."""
    ours, theirs = bindings(function), bindings(other)
    return (
        len(ours) == len(theirs)
        and function.body.body.same_as(other.body.body)
        and all(a.same_as(b) for a, b in zip(ours.values(), theirs.values(), strict=True))
    )
