"""Raw values of one row, or of one element of a sequence, by the columns that a feature reads."""

from __future__ import annotations

from dataclasses import dataclass

from rtcompile.features.column_specs import column_readers
from rtcompile.features.operators import Expr, Operator
from rtcompile.features.plan import Feature, Input
from rtcompile.features.values import Raw, elements
from rtcompile.runtime.encoding.column_spec import processing
from rtcompile.runtime.encoding.raw_values import cut

__all__ = ["Cells", "element_cells", "spreads"]


@dataclass(frozen=True)
class Cells:
    """Column -> raw value. `element`: of an element, not of a whole row."""

    values: dict[Input, Raw]
    element: bool = False


def spreads(operator: Operator) -> bool:
    """Whether a sequence column with one element counts for all elements."""
    return isinstance(operator, Expr) and operator.spread


def element_cells(feature: Feature, row: Cells) -> list[Cells]:
    """What each element of a row reads. Plain columns count for every element.

    There are as many as the longest column has. A column with one element counts for all in a
    SeqExpr; else a column has no value where it ends.
    """
    assert feature.sequence is not None
    split: dict[Input, list[Raw]] = {}
    for owner, column in column_readers(feature):
        if column.sequence:
            spec = owner.sequence or feature.sequence
            whole = _whole(column, row.values[column])
            split[column] = elements(whole, spec.delimiter, spec.length)
    count = max((len(part) for part in split.values()), default=1)
    found = []
    for place in range(min(count, feature.sequence.length)):
        values = dict(row.values)
        for column, part in split.items():
            wide = len(part) == 1 and spreads(feature.operator)
            values[column] = part[0] if wide else part[place] if place < len(part) else None
        found.append(Cells(values, element=True))
    return found


def _whole(column: Input, raw: Raw) -> Raw:
    """A row's raw value; where tokens are elements, its tokens."""
    raw = cut(raw, weighted=True) if column.cut else raw
    return processing(column.steps)(raw) if column.tokens_as_elements else raw
