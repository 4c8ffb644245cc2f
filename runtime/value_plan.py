"""What compiled code is told of the columns that it encodes, and what it says of them.

`rtcompile/codegen/features/encode_values.py` reads a request's values as `marshal` writes them, and
writes what `encoded.py` describes. It is told a row of PLAN_WORDS int64 a column (see Plan), and
shares words with the runtime (see State). What it cannot take, it leaves to `encode.py`.
"""

from __future__ import annotations

from runtime.column_spec import ColumnSpec
from runtime.encoded import Split

__all__ = ["ENCODE", "PLAN_WORDS", "Form", "Plan", "State", "plan_row"]

ENCODE = "encode"  # the function's name in the module

PLAN_WORDS = 8


class Plan:
    """Places in a column's row of the plan."""

    COLUMN = 0  # which of the stage's columns it is
    FORM = 1
    LENGTH = 2  # the most elements of a sequence; 0: it is none
    DELIMITER = 3  # between the elements of a sequence
    SPLIT = 4  # of a column whose texts are single ones
    LISTS = 5  # whether an entry may be a list
    KEEPS_EMPTY = 6  # whether empty texts of a list, or NaN, are values


class Form:
    """What the values of a column are."""

    TEXT = 0
    NUMBER = 1


class State:
    """Words that the runtime and the compiled code share; one more a column follows, 1 where it
    was left to the runtime."""

    LEFT = 0  # how many columns were left; -1: all, since a value could not be passed over
    SIZE = 1  # words, texts, bytes and numbers that were written
    WORDS = 2  # addresses of the parts
    OFFSETS = 3
    NUMBERS = 4
    TEXT = 5
    MODE = 6  # of all columns
    FLAGS = 8


def plan_row(index: int, spec: ColumnSpec) -> list[int] | None:
    """The plan of a column; None where it is always left to the runtime."""
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
    return [index, form, length, delimiter, split, int(lists), int(empty), 0]


def _single_texts(spec: ColumnSpec) -> bool:
    """Whether a text is taken as it is, to be split by the kernel if at all."""
    if spec.kind in ("text", "places", "terms"):
        return not spec.split_here
    return spec.kind == "whole" or spec.kind.startswith("nested") or not spec.listed
