"""combo_feature: the Cartesian product of several columns' values, joined with "_", as text."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from rtcompile.features.conversion.config_context import Context
from rtcompile.features.conversion.conversion import cut_numbers, make_feature
from rtcompile.features.conversion.schema import ComboSchema
from rtcompile.features.operators import Combo
from rtcompile.features.plan import Feature

__all__ = ["combine_tokens", "combo_feature"]


def combo_feature(schema: ComboSchema, name: str, context: Context) -> Feature:
    """The plan of a validated config; problems go to `context`."""
    given = [(f"expression[{i}]", text) for i, text in enumerate(schema.expression)]
    inputs = cut_numbers(context.inputs(schema, given), context)
    dimension = schema.value_dim or 0
    return make_feature(
        schema,
        name,
        context,
        Combo(),
        inputs,
        numeric=False,
        value_dim=dimension,
        prefixed=context.dialect.need_prefix,
    )


def combine_tokens(inputs: Sequence[Sequence[bytes]]) -> list[bytes]:
    """Every combination, the last input fastest."""
    return [b"_".join(tokens) for tokens in product(*inputs)]
