"""Refuse a graph whose rows depend on each other: it could not run in tiles of rows.

The batch is the one symbolic extent. An operator that reduces, concatenates, normalises or
contracts along an axis whose extent contains it mixes rows; so does one whose result has it on two
axes (x @ transpose(x)). Operators that only move rows about
(reshape, transpose) are fine: they move them back before the end, or the outputs would not be a
row each.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import relax
from tvm.ir import IRModule

from relay_passes.errors import RowDependenceError
from relay_passes.matching import bindings, call_name, shape_of
from relay_passes.report import PassReport

__all__ = ["check_row_independence"]

_REDUCTIONS = ("sum", "mean", "max", "min", "prod", "variance", "std", "argmax", "argmin")


def _normalised(axis: Any, rank: int) -> int:
    return int(axis) % rank


def _reduced_axes(call: Any, rank: int) -> list[int]:
    axis = call.attrs.axis
    if axis is None:
        return list(range(rank))
    axes = [axis] if isinstance(axis, int) or not hasattr(axis, "__iter__") else list(axis)
    return [_normalised(a, rank) for a in axes]


def _single_axis(call: Any, rank: int) -> list[int]:
    return [_normalised(call.attrs.axis, rank)]


def _flattened_axis(call: Any, rank: int) -> list[int]:
    return list(range(rank)) if call.attrs.axis is None else _single_axis(call, rank)


def _contracted(call: Any, rank: int) -> list[int]:
    return [rank - 1]


_MIXING: dict[str, Callable[[Any, int], list[int]]] = {
    **{f"relax.{name}": _reduced_axes for name in _REDUCTIONS},
    "relax.nn.softmax": _single_axis,
    "relax.nn.log_softmax": _single_axis,
    "relax.cumsum": _flattened_axis,
    "relax.cumprod": _flattened_axis,
    "relax.sort": _single_axis,
    "relax.argsort": _single_axis,
    "relax.topk": _single_axis,
    "relax.flip": _single_axis,
    "relax.matmul": _contracted,
    "relax.concat": _single_axis,
}


def check_row_independence(mod: IRModule, report: PassReport) -> IRModule:
    """Return `mod` unchanged, or raise RowDependenceError that names the operator."""
    for var, value in bindings(mod["main"]).items():
        name = call_name(value)
        _check_one_batch_axis(var, name or "")
        if name == "relax.concat":
            operands, axes_of = list(_fields(value.args[0])), _MIXING[name]
        elif name in _MIXING:
            operands, axes_of = [value.args[0]], _MIXING[name]
        else:
            continue
        report.applied += 1
        for operand in operands:
            _check(var, name, value, operand, axes_of)
    return mod


def _check_one_batch_axis(var: Any, name: str) -> None:
    extents = shape_of(var) if isinstance(var.ty, relax.TensorType) else None
    if sum(not isinstance(extent, int) for extent in extents or ()) > 1:
        shape = ", ".join(str(extent) for extent in extents or ())
        raise RowDependenceError(
            f"{name.removeprefix('relax.')} ({var.name}) gives a tensor of shape ({shape}), with "
            "the batch on two axes: each row is paired with the other rows of the request"
        )


def _fields(expression: Any) -> Any:
    return expression.fields if isinstance(expression, relax.Tuple) else [expression]


def _check(var: Any, name: str, call: Any, operand: Any, axes_of: Callable[..., list[int]]) -> None:
    extents = shape_of(operand)
    if extents is None:
        return
    for axis in axes_of(call, len(extents)):
        if not isinstance(extents[axis], int):
            shape = ", ".join(str(extent) for extent in extents)
            raise RowDependenceError(
                f"{name.removeprefix('relax.')} ({var.name}) works along axis {axis} of a "
                f"tensor of shape ({shape}), which is the batch: the score of a row would depend "
                "on the other rows of the request"
            )
