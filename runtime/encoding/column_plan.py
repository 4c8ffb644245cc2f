"""How compiled code encodes a column, from its spec."""

from __future__ import annotations

from rtcompile.runtime.abi.encode_values import Form, Plan
from rtcompile.runtime.abi.encoded import Split
from rtcompile.runtime.encoding.column_spec import ColumnSpec

__all__ = ["plan_row"]


def plan_row(index: int, spec: ColumnSpec) -> list[int] | None:
    """The words of a column's Plan; None where it is always left to the runtime."""
    if not spec.name or spec.function is not None or spec.steps or spec.pair:
        return None
    if spec.delimiter is not None and (len(spec.delimiter) != 1 or spec.length < 1):
        return None
    if spec.is_text and not _single_texts(spec):
        return None
    form, lists = Form.NUMBER, True
    if spec.is_text:
        form, lists = Form.TEXT, spec.kind in ("text", "places")
    empty = spec.kind in ("places", "number")
    delimiter = spec.delimiter[0] if spec.delimiter else 0
    length = 0 if spec.delimiter is None else spec.length
    split = Split.LIST if spec.kind == "whole" or not spec.is_text else Split.TEXT
    plan = {
        Plan.COLUMN: index,
        Plan.FORM: form,
        Plan.LENGTH: length,
        Plan.DELIMITER: delimiter,
        Plan.SPLIT: split,
        Plan.LISTS: int(lists),
        Plan.KEEPS_EMPTY: int(empty),
    }
    return [plan.get(field, 0) for field in Plan.FIELDS]


def _single_texts(spec: ColumnSpec) -> bool:
    """Whether a text is taken as it is, to be split by the kernel if at all."""
    if spec.kind in ("text", "places", "terms"):
        return not spec.split_here
    return spec.kind == "whole" or spec.kind.startswith("nested") or not spec.listed
