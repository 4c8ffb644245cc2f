"""Refuse a graph whose rows depend on each other: it could not run in tiles of rows.

The batch is the one symbolic extent. Each value's layout says on which axis the rows lie
(`rows/layouts.py`), each operator's rule what becomes of them (`rows/rules.py`). An operator that
reduces, shifts, joins or contracts along the rows, pairs them, or computes with how many there are,
is refused by the node of the file that it comes from. Operators that only move rows about (reshape,
transpose) are followed: an output must have a row each, first.
"""

from __future__ import annotations

from typing import Any

from tvm import relax
from tvm.ir import IRModule

from rtcompile.relay_passes.errors import RowDependenceError
from rtcompile.relay_passes.matching import bindings, call_name, kernel_symbol, reads
from rtcompile.relay_passes.report import PassReport
from rtcompile.relay_passes.rows.layouts import (
    FIXED,
    Counted,
    MixedError,
    Rows,
    checked,
    row_extents,
)
from rtcompile.relay_passes.rows.operands import operand_layouts
from rtcompile.relay_passes.rows.rules import result_layout

__all__ = ["check_row_independence"]

_REMEDY = "compute it outside of the model, or write it so that a row reads its own values alone"


def check_row_independence(mod: IRModule, report: PassReport) -> IRModule:
    """Return `mod` unchanged, or raise RowDependenceError that names the operator."""
    main = mod["main"]
    known: dict[Any, Any] = {param: _input(param) for param in main.params}
    for var, value in _live(main):
        try:
            known[var] = _layout(mod, value, known)
        except MixedError as reason:
            raise RowDependenceError(f"{_name(var, value)} {reason}; {_REMEDY}") from None
        report.applied += isinstance(value, relax.Call)
    _check_outputs(main, known)
    return mod


def _live(main: Any) -> list[tuple[Any, Any]]:
    """The bindings that the result depends on, in order."""
    wanted, found = set(reads(main.body.body)), []
    for var, value in reversed(bindings(main).items()):
        if var in wanted:
            wanted.update(reads(value))
            found.append((var, value))
    return found[::-1]


def _input(param: Any) -> Any:
    extents = row_extents(param.ty) or []
    return Rows(0) if extents and extents[0] == 1 else FIXED


def _layout(mod: IRModule, value: Any, known: dict[Any, Any]) -> Any:
    if not isinstance(value, relax.Call):
        return operand_layouts(value, known)
    operands = [operand_layouts(argument, known) for argument in value.args]
    return _all_checked(result_layout(mod, value, operands), value.ty)


def _all_checked(layout: Any, ty: Any) -> Any:
    if isinstance(ty, relax.TupleType):
        return tuple(_all_checked(one, field) for one, field in zip(layout, ty.fields, strict=True))
    return checked(layout, ty)


def _name(var: Any, value: Any) -> str:
    """The node of the file that an operator comes from, or the operator and its variable."""
    if value.span is not None:
        return str(value.span.source_name.name)
    name = kernel_symbol(value) or (call_name(value) or "").removeprefix("relax.")
    return f"{name} ({var.name})"


def _check_outputs(main: Any, known: dict[Any, Any]) -> None:
    bound = bindings(main)
    result = bound.get(main.body.body, main.body.body)
    for given in result.fields if isinstance(result, relax.Tuple) else [main.body.body]:
        output = given
        while isinstance(bound.get(output), relax.Var):
            output = bound[output]
        layout = operand_layouts(output, known)
        name = _name(output, bound[output]) if output in bound else str(output)
        if isinstance(layout, Counted):
            raise RowDependenceError(f"{name} gives an output that counts the rows; {_REMEDY}")
        if isinstance(layout, Rows) and layout != Rows(0):
            raise RowDependenceError(
                f"{name} gives an output whose rows lie on axis {layout.axis}, with "
                f"{layout.outer * layout.inner} elements each; an output needs a row of the "
                "request on each element of its first axis: transpose or reshape it"
            )
