"""EditDistance, a custom operator: how many edits there are between two texts.

`encoding`: "utf-8" counts characters, "latin", the default, bytes. In UTF-8 a character is a byte
that continues nothing, with the bytes that continue it, so that bytes which are no UTF-8 have a
meaning too. Without text on either side there is no value.
"""

from __future__ import annotations

import re

from rtcompile.features.conversion.config_context import Context
from rtcompile.features.conversion.conversion import make_feature
from rtcompile.features.conversion.custom_operator import operator_inputs, text_parameters
from rtcompile.features.conversion.schema import CustomSchema
from rtcompile.features.operators import EditDistance
from rtcompile.features.plan import Feature

__all__ = ["distance", "edit_distance"]

_ENCODINGS = {"utf-8": True, "latin": False}
_CHARACTER = re.compile(rb"[^\x80-\xbf]?[\x80-\xbf]*", re.DOTALL)
_REMEMBERED = 8


def edit_distance(schema: CustomSchema, name: str, context: Context) -> Feature:
    """The plan of a validated config; problems go to `context`."""
    inputs = operator_inputs(schema, context, columns=True)
    if len(schema.texts) != 2:
        context.problem("expression", f"{len(schema.texts)} inputs; EditDistance takes two")
    given = text_parameters(schema, context, {"encoding": "latin"})
    if given["encoding"] not in _ENCODINGS:
        allowed = ", ".join(_ENCODINGS)
        context.problem("encoding", f"{given['encoding']!r} is not allowed; use one of {allowed}")
    operator = EditDistance(_ENCODINGS.get(given["encoding"], False))
    return make_feature(
        schema, name, context, operator, inputs, numeric=True, value_dim=schema.value_dim or 0
    )


def distance(operator: EditDistance, one: bytes, other: bytes) -> list[float]:
    """The number, or none; Wagner and Fischer's table, a row at a time."""
    if not one or not other:
        return []
    first, second = _characters(operator, one), _characters(operator, other)
    row = list(range(len(second) + 1))
    for i, character in enumerate(first, 1):
        diagonal, row[0] = row[0], i
        for j, wanted in enumerate(second, 1):
            kept = diagonal + (character != wanted)
            diagonal = row[j]
            row[j] = min(kept, row[j] + 1, row[j - 1] + 1)
    return [float(row[-1])]


def _characters(operator: EditDistance, text: bytes) -> list[int]:
    if not operator.utf8:
        return list(text)
    # A character has at most four bytes; of garbage that is longer the last eight count.
    parts = [part[-_REMEMBERED:] for part in _CHARACTER.findall(text) if part]
    return [int.from_bytes(part, "big") for part in parts]
