"""combine_feature: several values to one number, by a map from words to numbers if there is one.

A value that is no number, or not in the map, gives nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from rtcompile.features.conversion.combiners import check_combiner, combine
from rtcompile.features.conversion.config_context import Context
from rtcompile.features.conversion.conversion import make_feature
from rtcompile.features.conversion.schema import CombineSchema
from rtcompile.features.numbers import parse_float
from rtcompile.features.operators import Combine
from rtcompile.features.plan import Feature

__all__ = ["combine_feature", "combine_values"]


def combine_feature(schema: CombineSchema, name: str, context: Context) -> Feature:
    """The plan of a validated config; problems go to `context`."""
    table = schema.value_map
    operator = Combine(
        check_combiner(schema.combiner, context, optional=False),
        None if table is None else tuple((word.encode(), table[word]) for word in table),
    )
    inputs = context.inputs(
        schema,
        [("expression", schema.expression)],
    )
    return make_feature(schema, name, context, operator, inputs, numeric=True)


def combine_values(operator: Combine, tokens: Sequence[bytes]) -> list[float]:
    """One number, or none."""
    if operator.value_map is None:
        parsed = [parse_float(token) for token in tokens]
    else:
        table = dict(operator.value_map)
        parsed = [table.get(token) for token in tokens]
    numbers = [number for number in parsed if number is not None]
    return [combine(operator.combiner, numbers)] if numbers else []
