"""match_feature: the value that a map of maps has for a pair of keys.

The map is text "first^second:value,second:value|first^...". Of equal keys the first counts. In a
`multihit` the key ALL, in the config or as a value, stands for every key of its level; in a `hit`
it is a key as any other. Keys may have several values, which are all tried. A text that is hashed
has the feature's name before it, unless `need_prefix` is false.
"""

from __future__ import annotations

from collections.abc import Sequence

from rtcompile.features.base import TEXT_BUCKETIZERS, Context, make_feature
from rtcompile.features.combiners import check_combiner, combine
from rtcompile.features.numbers import parse_float
from rtcompile.features.operators import Match
from rtcompile.features.plan import Feature
from rtcompile.features.schema import MatchSchema

__all__ = ["ALL", "match_feature", "match_numbers", "match_tokens"]

ALL = "ALL"


def match_feature(schema: MatchSchema, name: str, context: Context) -> Feature:
    """The plan of a validated config; problems go to `context`."""
    wild = schema.match_type == "multihit"
    given = [("user", schema.user)]
    for key, text in (("category", schema.category), ("item", schema.item)):
        given.append((key, f"const:{ALL}" if text == ALL else text))
    discrete = schema.need_discrete or schema.show_category or schema.show_item
    discrete = discrete or any(getattr(schema, key) is not None for key in TEXT_BUCKETIZERS)
    combiner = "" if discrete else check_combiner(schema.combiner, context, optional=True)
    operator = Match(wild, schema.show_category, schema.show_item, combiner)
    return make_feature(
        schema,
        name,
        context,
        operator,
        context.inputs(schema, given, columns=["user"]),
        numeric=not discrete,
        value_dim=0 if discrete or schema.boundaries else schema.value_dim or 1,
        prefixed=schema.hash_bucket_size is not None,
    )


def _hits(
    operator: Match, text: bytes, firsts: Sequence[bytes], seconds: Sequence[bytes]
) -> list[tuple[bytes, bytes, bytes]]:
    """(first, second, value), in the order of the keys, ALL in the order of the map."""
    outer: dict[bytes, list[bytes]] = {}
    for part in text.split(b"|"):
        first, marker, inner = part.partition(b"^")
        if marker and first:
            outer.setdefault(first, []).append(inner)
    found = []
    for first in firsts:
        wanted = list(outer) if operator.wild and first == ALL.encode() else [first]
        for outer_key in wanted:
            for inner in outer.get(outer_key, [])[:1]:
                found += _inner_hits(operator, outer_key, inner, seconds)
    return found


def _inner_hits(
    operator: Match, first: bytes, inner: bytes, seconds: Sequence[bytes]
) -> list[tuple[bytes, bytes, bytes]]:
    pairs: dict[bytes, bytes] = {}
    for part in inner.split(b","):
        second, marker, value = part.partition(b":")
        if marker and second:
            pairs.setdefault(second, value)
    found = []
    for second in seconds:
        wanted = list(pairs) if operator.wild and second == ALL.encode() else [second]
        found += [(first, key, pairs[key]) for key in wanted if key in pairs]
    return found


def match_tokens(
    operator: Match, text: bytes, firsts: Sequence[bytes], seconds: Sequence[bytes]
) -> list[bytes]:
    """Text values, with their keys before them on demand."""
    found = []
    for first, second, value in _hits(operator, text, firsts, seconds):
        shown = [first] if operator.show_first else []
        shown += [second] if operator.show_second else []
        found.append(b"_".join([*shown, value]))
    return [token for token in found if token]


def match_numbers(
    operator: Match, text: bytes, firsts: Sequence[bytes], seconds: Sequence[bytes]
) -> list[float]:
    """Numbers, combined; what is no number gives nothing."""
    parsed = [parse_float(value) for _, _, value in _hits(operator, text, firsts, seconds)]
    numbers = [number for number in parsed if number is not None]
    return [combine(operator.combiner, numbers)] if operator.combiner and numbers else numbers
