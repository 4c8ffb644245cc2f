"""kv_dot_product: the sum of the products of two maps' weights over the keys of both.

A map is an Arrow map, or text "key:weight" with weight 1 where there is none. Of equal keys the
first counts. Where a side has no key: nothing, which without a default is 0.
"""

from __future__ import annotations

from collections.abc import Mapping

from rtcompile.features.conversion.config_context import Context
from rtcompile.features.conversion.conversion import make_feature, split_default
from rtcompile.features.conversion.schema import KvDotProductSchema
from rtcompile.features.operators import KvDotProduct
from rtcompile.features.plan import Feature

__all__ = ["kv_dot_product", "weighted_product"]


def kv_dot_product(schema: KvDotProductSchema, name: str, context: Context) -> Feature:
    """The plan of a validated config; problems go to `context`."""
    given = [("query", schema.query), ("document", schema.document)]
    return make_feature(
        schema,
        name,
        context,
        KvDotProduct(schema.kv_delimiter.encode()),
        context.inputs(schema, given, columns=["query", "document"]),
        numeric=True,
        default=split_default(schema.default_value or "0", schema.separator),
    )


def weighted_product(query: Mapping[bytes, float], document: Mapping[bytes, float]) -> list[float]:
    """One number, or none; summed in the order of the query."""
    if not query or not document:
        return []
    total = 0.0
    for key, weight in query.items():
        if key in document:
            total += weight * document[key]
    return [total]
