"""What the rules ask about a call and the layouts of its operands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm import relax

from rtcompile.relay_passes.matching import shape_of
from rtcompile.relay_passes.rows.layouts import FIXED, Layout, MixedError, Rows

__all__ = ["Layouts", "axes_of", "flat", "operand_layouts", "rank_of", "refuse_along", "rows_among"]

# A tensor's layout, or a tuple's: of its fields.
Layouts = Layout | tuple[Any, ...]


def operand_layouts(expression: Any, known: dict[Any, Any]) -> Layouts:
    """The layout of an argument."""
    if isinstance(expression, relax.Var):
        return known.get(expression, FIXED)
    if isinstance(expression, relax.Tuple):
        return tuple(operand_layouts(field, known) for field in expression.fields)
    if isinstance(expression, relax.TupleGetItem):
        return operand_layouts(expression.tuple_value, known)[expression.index]  # type: ignore[index]
    return FIXED


def flat(operands: Sequence[Any]) -> list[Layout]:
    """The layouts of operands, those of tuples one by one."""
    found: list[Layout] = []
    for operand in operands:
        found.extend(flat(operand) if isinstance(operand, tuple) else [operand])
    return found


def rank_of(expression: Any) -> int:
    """How many axes a tensor has. Raises MixedError where that is not known."""
    shape = shape_of(expression)
    if shape is None:
        raise MixedError("works on a tensor whose shape is not known when the model is built")
    return len(shape)


def rows_among(layouts: Sequence[Any]) -> list[Rows]:
    """Those that have rows."""
    return [layout for layout in layouts if isinstance(layout, Rows)]


def axes_of(value: Any, rank: int) -> list[int]:
    """Axes as an attribute gives them, counted from the front; None is all of them."""
    if value is None:
        return list(range(rank))
    values = value if hasattr(value, "__iter__") else [value]
    return [int(axis) % rank for axis in values]


def refuse_along(argument: Any, layout: Layout, axes: list[int]) -> None:
    """Refuse what works along the axis that has the rows."""
    if isinstance(layout, Rows) and layout.axis in axes:
        shape = ", ".join(str(extent) for extent in shape_of(argument) or ())
        raise MixedError(
            f"works along axis {layout.axis} of a tensor of shape ({shape}), which is the batch: "
            "the score of a row would depend on the other rows of the request"
        )
