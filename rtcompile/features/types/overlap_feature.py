"""overlap_feature: how the terms of a query lie in a title, as one number.

    query_common_ratio   share of the query's terms that are in the title
    title_common_ratio   share of the title's terms that are in the query
    is_contain           1 where the query stands in the title as a whole, in order
    is_equal             1 where both are the same terms in the same order
    index_of             the place of the query in the title as a whole; -1 where it is not
    proximity_min_cover  length of the shortest piece of the title with every term of the query;
                         0 where one is missing
    proximity_min_dist, proximity_max_dist, proximity_avg_dist
                         over the pairs of different query terms, the least distance of their
                         places in the title: the least, largest, mean; one more than the title's
                         length where no pair is there

(The proximities are those of Tao and Zhai, SIGIR 2007.) Without query or title terms: 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from rtcompile.features.conversion.config_context import Context
from rtcompile.features.conversion.conversion import make_feature
from rtcompile.features.conversion.schema import OverlapSchema
from rtcompile.features.operators import Overlap
from rtcompile.features.plan import Feature

__all__ = ["METHODS", "overlap", "overlap_feature"]

METHODS = (
    *("query_common_ratio", "title_common_ratio", "is_contain", "is_equal", "index_of"),
    *("proximity_min_cover", "proximity_min_dist", "proximity_max_dist", "proximity_avg_dist"),
)


def overlap_feature(schema: OverlapSchema, name: str, context: Context) -> Feature:
    """The plan of a validated config; problems go to `context`."""
    given = [("query", schema.query), ("title", schema.title)]
    inputs = context.inputs(schema, given, columns=["query", "title"])
    if schema.method not in METHODS:
        context.problem("method", f"{schema.method!r} is not allowed; use one of {METHODS}")
    return make_feature(schema, name, context, Overlap(schema.method), inputs, numeric=True)


def overlap(method: str, query: Sequence[bytes], title: Sequence[bytes]) -> float:
    """The number."""
    if not query or not title:
        return 0.0
    if method == "query_common_ratio":
        return sum(term in title for term in query) / len(query)
    if method == "title_common_ratio":
        return sum(term in query for term in title) / len(title)
    if method == "is_equal":
        return float(list(query) == list(title))
    if method in ("is_contain", "index_of"):
        place = _index_of(query, title)
        return float(place >= 0) if method == "is_contain" else float(place)
    if method == "proximity_min_cover":
        return _min_cover(query, title)
    return _distance(method, query, title)


def _index_of(query: Sequence[bytes], title: Sequence[bytes]) -> int:
    for place in range(len(title) - len(query) + 1):
        if all(title[place + i] == term for i, term in enumerate(query)):
            return place
    return -1


def _min_cover(query: Sequence[bytes], title: Sequence[bytes]) -> float:
    best = 0
    for begin in range(len(title)):
        # The piece from `begin` ends where the last of the terms is first met.
        ends = [
            next((i for i in range(begin, len(title)) if title[i] == term), -1) for term in query
        ]
        if min(ends) < 0:
            break
        length = max(ends) - begin + 1
        best = length if best == 0 else min(best, length)
    return float(best)


def _distance(method: str, query: Sequence[bytes], title: Sequence[bytes]) -> float:
    terms = list(dict.fromkeys(query))
    least, largest, total, pairs = 0, 0, 0, 0
    for one, other in combinations(terms, 2):
        distance = len(title) + 1
        for i, first in enumerate(title):
            for j, second in enumerate(title):
                if first == one and second == other:
                    distance = min(distance, abs(i - j))
        if distance > len(title):
            continue
        least = distance if pairs == 0 else min(least, distance)
        largest, total, pairs = max(largest, distance), total + distance, pairs + 1
    if pairs == 0:
        return float(len(title) + 1)
    means = {"proximity_min_dist": float(least), "proximity_max_dist": float(largest)}
    return means.get(method, total / pairs)
