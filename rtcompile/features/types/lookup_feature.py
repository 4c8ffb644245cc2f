"""lookup_feature: the values that a map has for some keys.

The map is an Arrow map, or text "key:value" joined by \\x1d, split at the first colon. The first of
equal keys counts. A key that the map lacks gives nothing. Values are text where they are discrete
(with "key_" before them on demand, which only texts can have), else numbers; what is no number
gives nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rtcompile.features.conversion.combiners import check_combiner, combine
from rtcompile.features.conversion.config_context import Context
from rtcompile.features.conversion.conversion import check_shown, is_discrete, make_feature
from rtcompile.features.conversion.schema import LookupSchema
from rtcompile.features.numbers import parse_float
from rtcompile.features.operators import Lookup
from rtcompile.features.plan import Feature

__all__ = ["lookup_feature", "lookup_numbers", "lookup_tokens"]


def lookup_feature(schema: LookupSchema, name: str, context: Context) -> Feature:
    """The plan of a validated config; problems go to `context`."""
    inputs = context.inputs(schema, [("map", schema.map), ("key", schema.key)], columns=["map"])
    if schema.need_weighting:
        context.problem("need_weighting", "true is not supported")
    discrete = is_discrete(schema, context)
    show_key = context.dialect.need_key if schema.need_key is None else schema.need_key
    check_shown(schema, ["need_key"] if discrete and show_key else [], context)
    combiner = "" if discrete else check_combiner(schema.combiner, context, optional=True)
    return make_feature(
        schema,
        name,
        context,
        Lookup(combiner, discrete and show_key),
        inputs,
        numeric=not discrete,
        # How many values there are is up to the keys.
        value_dim=0 if discrete or schema.boundaries else schema.value_dim or 1,
        prefixed=context.dialect.need_prefix,
    )


def lookup_tokens(
    operator: Lookup, table: Mapping[bytes, bytes], keys: Sequence[bytes]
) -> list[bytes]:
    """The text values of the keys that the map has."""
    if operator.show_key:
        return [key + b"_" + table[key] for key in keys if key in table]
    return [table[key] for key in keys if key in table]


def lookup_numbers(
    operator: Lookup, table: Mapping[bytes, bytes], keys: Sequence[bytes]
) -> list[float]:
    """The numbers of the keys that the map has, combined."""
    parsed = [parse_float(table[key]) for key in keys if key in table]
    numbers = [number for number in parsed if number is not None]
    if operator.combiner and numbers:
        return [combine(operator.combiner, numbers)]
    return numbers
