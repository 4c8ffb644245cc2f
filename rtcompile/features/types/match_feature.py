"""match_feature: the value that a map of maps has for a pair of keys.

The map is text "first^second:value,second:value|first^...", with \\x1d for a comma too. Of equal
keys the first counts. In a `multihit` the key ALL, in the config or as a value, stands for every
key of its level; in a `hit` it is a key as any other. Keys may have several values, which are all
tried. A text that is hashed has the feature's name before it, unless `need_prefix` is false, and in
a `hit` that is asked to be text (`need_discrete`) both keys, unless they are told not to be shown.
"""

from __future__ import annotations

from collections.abc import Sequence

from rtcompile.features.conversion.combiners import check_combiner, combine
from rtcompile.features.conversion.config_context import Context
from rtcompile.features.conversion.conversion import check_shown, is_discrete, make_feature
from rtcompile.features.conversion.schema import MatchSchema
from rtcompile.features.numbers import parse_float
from rtcompile.features.operators import Match
from rtcompile.features.plan import Feature
from rtcompile.features.values import split

__all__ = ["ALL", "look_up_pair", "match_feature", "match_numbers", "match_tokens"]

ALL = "ALL"


def match_feature(schema: MatchSchema, name: str, context: Context) -> Feature:
    """The plan of a validated config; problems go to `context`."""
    wild = schema.match_type == "multihit"
    given = [("user", schema.user)]
    for key, text in (("category", schema.category), ("item", schema.item)):
        given.append((key, f"const:{ALL}" if text == ALL else text))
    discrete = is_discrete(schema, context)
    shown = discrete and not wild and _says_discrete(schema, context)
    first = shown if schema.show_category is None else discrete and schema.show_category
    second = shown if schema.show_item is None else discrete and schema.show_item
    shows = {"show_category": first, "show_item": second}
    check_shown(schema, [key for key, show in shows.items() if show], context)
    combiner = "" if discrete else check_combiner(schema.combiner, context, optional=True)
    operator = Match(wild, first, second, combiner)
    return make_feature(
        schema,
        name,
        context,
        operator,
        context.inputs(schema, given, columns=["user"]),
        numeric=not discrete,
        value_dim=0 if discrete or schema.boundaries else schema.value_dim or 1,
        prefixed=schema.hash_bucket_size is not None or context.dialect.need_prefix,
    )


def _says_discrete(schema: MatchSchema, context: Context) -> bool:
    """Whether texts are asked for by their own key, not by a bucketizer alone."""
    given = schema.need_discrete
    return context.dialect.need_discrete if given is None else given


def look_up_pair(
    operator: Match, text: bytes, first: bytes, second: bytes
) -> tuple[list[bytes], list[bytes]]:
    """(the values of a pair of keys, what cannot be read of the map on the way to them)."""
    hits = [value for _, _, value in _hits(operator, text, [first], [second])]
    outer: dict[bytes, bytes] = {}
    bad: list[bytes] = []
    for part in filter(None, text.split(b"|")):
        key, marker, inner = part.partition(b"^")
        if marker and key:
            outer.setdefault(key, inner)
        else:
            bad.append(part)
    every = operator.wild and first == ALL.encode()
    inners = list(outer.values()) if every else [outer[first]] if first in outer else []
    pairs = [pair for inner in inners for pair in filter(None, split(inner, b","))]
    unread = [pair for pair in pairs if not all(pair.partition(b":")[:2])]
    return hits, unread or (bad if every or not inners else [])


def _hits(
    operator: Match, text: bytes, firsts: Sequence[bytes], seconds: Sequence[bytes]
) -> list[tuple[bytes, bytes, bytes]]:
    """(first, second, value), by pairs of keys in their order; ALL in the order of the map."""
    outer: dict[bytes, dict[bytes, bytes]] = {}
    for part in text.split(b"|"):
        first, marker, inner = part.partition(b"^")
        if marker and first:
            outer.setdefault(first, _pairs(inner))
    found = []
    for first in firsts:
        every_first = operator.wild and first == ALL.encode()
        for second in seconds:
            every_second = operator.wild and second == ALL.encode()
            for key in outer if every_first else [first]:
                pairs = outer.get(key, {})
                wanted = list(pairs) if every_second else [second]
                found += [(key, name, pairs[name]) for name in wanted if name in pairs]
    return found


def _pairs(inner: bytes) -> dict[bytes, bytes]:
    """The first value of each key of "k:v,k:v"."""
    pairs: dict[bytes, bytes] = {}
    for part in split(inner, b","):
        second, marker, value = part.partition(b":")
        if marker and second:
            pairs.setdefault(second, value)
    return pairs


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
