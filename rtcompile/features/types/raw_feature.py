"""raw_feature: numbers, exactly value_dim of them, normalized, perhaps bucketized by boundaries.

With boundaries and an empty default a row has as many ids as numbers, at most value_dim.
"""

from __future__ import annotations

from rtcompile.features.conversion.config_context import Context
from rtcompile.features.conversion.conversion import make_feature, split_default
from rtcompile.features.conversion.schema import RawSchema
from rtcompile.features.operators import Values
from rtcompile.features.plan import Feature

__all__ = ["raw_feature"]


def raw_feature(schema: RawSchema, name: str, context: Context) -> Feature:
    """The plan of a validated config; problems go to `context`."""
    inputs = context.inputs(schema, [("expression", schema.expression)])
    default = "0" if schema.default_value is None else schema.default_value
    if schema.num_buckets is not None:
        context.problem("num_buckets", "not for a raw_feature; it takes boundaries")
    width = 1 if schema.value_dim is None else schema.value_dim
    if width < 1:
        context.problem("value_dim", f"{width} is not allowed: greater than or equal to 1")
    values = split_default(default, schema.separator)
    return make_feature(
        schema,
        name,
        context,
        Values(),
        inputs,
        numeric=True,
        exact=schema.boundaries is None or bool(values),
        value_dim=width,
        default=values,
    )
