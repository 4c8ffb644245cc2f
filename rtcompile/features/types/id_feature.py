"""id_feature: strings or integers to ids, one or many a row."""

from __future__ import annotations

from rtcompile.features.conversion.config_context import Context
from rtcompile.features.conversion.conversion import cut_numbers, make_feature
from rtcompile.features.conversion.schema import IdSchema
from rtcompile.features.operators import Values
from rtcompile.features.plan import Feature

__all__ = ["id_feature"]


def id_feature(schema: IdSchema, name: str, context: Context) -> Feature:
    """The plan of a validated config; problems go to `context`."""
    return make_feature(
        schema,
        name,
        context,
        Values(),
        cut_numbers(
            context.inputs(
                schema,
                [("expression", schema.expression)],
                columns=["expression"] if schema.weighted else [],
            ),
            context,
        ),
        numeric=False,
        value_dim=schema.value_dim or 0,
        weighted=schema.weighted,
        kv_separator=schema.kv_delimiter.encode(),
        prefixed=context.dialect.need_prefix,
    )
