"""How the results of the kernels that stand in a graph from the import on depend on the rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tvm import relax

from rtcompile.relay_passes.dialect.checked_values import CHECKS
from rtcompile.relay_passes.dialect.embedding_bags import EMBEDDING_BAG
from rtcompile.relay_passes.matching import kernel_symbol
from rtcompile.relay_passes.rows.layouts import FIXED, Layout, MixedError, Rows
from rtcompile.relay_passes.rows.operands import Layouts, rows_among

__all__ = ["kernel_rule"]


def kernel_rule(call: Any) -> Callable[[Any, Sequence[Any]], Layouts]:
    """The rule of the kernel that a call names. Raises MixedError where it has none."""
    symbol = kernel_symbol(call)
    for prefix, rule in _KERNELS.items():
        if symbol == prefix or symbol.startswith(prefix + "."):
            return rule
    raise MixedError("calls a kernel that has no rule which tells the rows that it reads")


def _looked_up(call: Any, operands: Sequence[Any]) -> Layout:
    """Rows of a table by ids, or by a column of a matrix."""
    found = rows_among(operands[1])
    return found[0] if found else FIXED


def _bag(call: Any, operands: Sequence[Any]) -> Layout:
    """A row of bounds says what a row of the result is of; all rows share the ids."""
    layout: Layout = operands[1][2]
    return layout


def _looked_over(call: Any, operands: Sequence[Any]) -> Layout:
    """A check gives the value that it is given, or one that does no harm."""
    layout: Layout = operands[1][0]
    return layout


def _recurrence(call: Any, operands: Sequence[Any]) -> Layouts:
    """The batch comes first in every operand that has it, and in every result."""
    found = set(rows_among(operands[1]))
    if found != {Rows(0)}:
        raise MixedError(
            "goes step by step along the batch: each row would depend on the one before"
        )
    types = call.ty.fields if isinstance(call.ty, relax.TupleType) else [call.ty]
    layouts = tuple(Rows(0) for _ in types)
    return layouts if isinstance(call.ty, relax.TupleType) else layouts[0]


_KERNELS: dict[str, Callable[[Any, Sequence[Any]], Layouts]] = {
    EMBEDDING_BAG: _bag,
    "rtc.embedding_lookup": _looked_up,
    "rtc.recurrence": _recurrence,
    **dict.fromkeys(CHECKS, _looked_over),
}
