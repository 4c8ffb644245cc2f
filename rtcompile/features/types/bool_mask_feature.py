"""bool_mask_feature: the values whose place in a mask is true.

True are "true" in any case and numbers but 0. Surplus values, and surplus places, are dropped.
"""

from __future__ import annotations

from collections.abc import Sequence

from rtcompile.features.conversion.config_context import Context
from rtcompile.features.conversion.conversion import make_feature
from rtcompile.features.conversion.schema import BoolMaskSchema
from rtcompile.features.numbers import parse_float
from rtcompile.features.operators import BoolMask
from rtcompile.features.plan import Feature

__all__ = ["bool_mask_feature", "masked"]


def bool_mask_feature(schema: BoolMaskSchema, name: str, context: Context) -> Feature:
    """The plan of a validated config; problems go to `context`."""
    given = [(f"expression[{i}]", text) for i, text in enumerate(schema.expression)]
    inputs = context.inputs(schema, given, columns=["expression[0]", "expression[1]"])
    dimension = schema.value_dim or 0
    return make_feature(
        schema, name, context, BoolMask(), inputs, numeric=False, value_dim=dimension
    )


def masked(tokens: Sequence[bytes], mask: Sequence[bytes]) -> list[bytes]:
    """The values that stay."""
    return [token for token, word in zip(tokens, mask, strict=False) if token and _true(word)]


def _true(word: bytes) -> bool:
    number = parse_float(word)
    return word.lower() == b"true" if number is None else number != 0
