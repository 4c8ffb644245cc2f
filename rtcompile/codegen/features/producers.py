"""How the ids of an entry come about, by feature type and bucketizer.

token producers   for each value, for each token of it: id = bucketize(token)
number producer   for each of the value_dim places: id = boundaries at or below the number
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.features.bucketize import (
    boundary_count,
    hash_bucket,
    parse_integer,
    probe_vocabulary,
)
from rtcompile.codegen.features.feature_kernel import Arguments, Producer
from rtcompile.codegen.features.normalize import normalized, normalizer_name
from rtcompile.codegen.features.numbers import number_or_default
from rtcompile.codegen.features.sinks import Sink
from rtcompile.codegen.features.tir import Cell, i64
from rtcompile.codegen.features.tokens import each_token
from rtcompile.features.plan import Boundaries, Feature, HashBucket, NumBuckets, Vocabulary

__all__ = ["producer_of"]

# (arguments, begin, size, put)
_Bucketize = Callable[[Arguments, Any, Any, Callable[[Any], None]], None]


def producer_of(feature: Feature) -> Producer:
    """The producer of a feature that has ids."""
    by, weights = feature.bucketizer, "_weights" if feature.weighted else ""
    if isinstance(by, Boundaries):
        name = f"boundaries{normalizer_name(feature.normalizer)}"
        return Producer(name, ("float32", "float64"), _boundaries(feature))
    if isinstance(by, HashBucket):
        return Producer(f"{by.hash}{weights}", (), _tokens(_hash(by.hash), feature.weighted))
    if isinstance(by, Vocabulary):
        emit = _tokens(_vocabulary, feature.weighted)
        return Producer(f"vocabulary{weights}", ("int64", "uint8"), emit)
    assert isinstance(by, NumBuckets)
    return Producer(f"integer{weights}", (), _tokens(_integer, feature.weighted))


def _hash(name: str) -> _Bucketize:
    def bucketize(a: Arguments, begin: Any, size: Any, put: Callable[[Any], None]) -> None:
        put(hash_bucket(name, a.column.text, begin, size, a.detail))

    return bucketize


def _vocabulary(a: Arguments, begin: Any, size: Any, put: Callable[[Any], None]) -> None:
    table = (*a.constants, a.detail)
    put(probe_vocabulary(table, a.column.text, begin, size, a.unlisted))


def _integer(a: Arguments, begin: Any, size: Any, put: Callable[[Any], None]) -> None:
    integer = parse_integer(a.column.text, begin, size)
    with T.If(integer.valid), T.Then():
        put(integer.value)


def _tokens(bucketize: _Bucketize, weighted: bool) -> Callable[[Arguments, Any, Sink], None]:
    def emit(a: Arguments, entry: Any, sink: Sink) -> None:
        first, end = a.column.values(entry)

        def wanted() -> Any:
            return tirx.Or(a.limit == 0, sink.count.get() < a.limit)

        at = Cell("int64", first)
        with T.While(tirx.And(at.get() < end, wanted())):
            value = T.Bind(at.get())
            weight = T.Bind(a.column.number(value)) if weighted else None

            def token(begin: Any, size: Any) -> None:
                bucketize(a, begin, size, lambda code: sink.put(code, weight))

            each_token(a.column, value, a.separator, wanted, token)
            at.add(i64(1))

    return emit


def _boundaries(feature: Feature) -> Callable[[Arguments, Any, Sink], None]:
    def emit(a: Arguments, entry: Any, sink: Sink) -> None:
        boundaries, defaults = a.constants
        with T.serial(a.limit) as place:
            number = number_or_default(a.column, entry, place, defaults)
            single = T.Bind(tirx.Cast("float32", normalized(feature.normalizer, number)))
            sink.put(boundary_count(boundaries, a.detail, single), None)

    return emit
