"""What ends a feature: its tokens or numbers to ids or dense values, and into the sink.

text      token -> bucket -> sink; without a token the default's ids
numbers   number -> normalize -> bucket or as it is -> sink; `exact`: value_dim of them, the
          default's in place of each that is missing; else the default's where there is none;
          defaults are not normalized; a number that is to be an id and is no int64 is missing
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit.tir import Cell, f64, i64
from rtcompile.codegen.features.bucketize import (
    boundary_count,
    hash_bucket,
    parse_integer,
    probe_vocabulary,
)
from rtcompile.codegen.features.inputs import Views
from rtcompile.codegen.features.normalize import is_int64, normalized
from rtcompile.features.plan import Boundaries, HashBucket, NumBuckets, Vocabulary

__all__ = ["NumberEnd", "Numbers", "TextEnd"]


class AnySink(Protocol):
    """What takes ids or numbers; see `feature_writers.py`."""

    count: Cell

    def open(self, slot: Any) -> None:
        """Begin an entry."""

    def put(self, code: Any, weight: Any) -> None:
        """Take an id."""

    def put_number(self, number: Any) -> None:
        """Take a float32."""

    def close(self) -> None:
        """End an entry."""


class TextEnd:
    """Takes tokens. `counts`: whether defaults are tallied, which those of an input are not."""

    def __init__(self, views: Views, sink: AnySink, counts: bool = True) -> None:
        self._views, self._sink, self._counts = views, sink, counts
        self._limit = views.scalar("limit")

    def open(self, slot: Any) -> None:
        """Begin an entry."""
        self._sink.open(slot)

    def wanted(self) -> Any:
        """Whether more tokens count."""
        return tirx.Or(self._limit == 0, self._sink.count.get() < self._limit)

    def put(self, text: Any, begin: Any, size: Any, weight: Any = None) -> None:
        """Take a token, while it is wanted."""
        with T.If(self.wanted()), T.Then():
            self._bucketize(text, begin, size, weight)

    def _bucketize(self, text: Any, begin: Any, size: Any, weight: Any) -> None:
        views, by = self._views, self._views.feature.bucketizer
        if isinstance(by, HashBucket):
            code = hash_bucket(by.hash, text, begin, size, views.scalar("buckets"))
            self._sink.put(code, weight)
        elif isinstance(by, Vocabulary):
            table = (views.constant("table"), views.constant("words"), views.scalar("last_slot"))
            unlisted = views.scalar("unlisted")
            self._sink.put(probe_vocabulary(table, text, begin, size, unlisted), weight)
        else:
            assert isinstance(by, NumBuckets)
            integer = parse_integer(text, begin, size)
            with T.If(integer.valid):
                with T.Then():
                    self._sink.put(integer.value, weight)
                with T.Else():
                    views.kernel.tally.unparsed(text, begin, size)

    def close(self) -> None:
        """End an entry."""
        views = self._views
        count = views.scalar("default_count")
        none = T.Bind(self._sink.count.get() == 0)
        if self._counts:
            views.kernel.tally.defaults_if(none)
        missing = T.Bind(tirx.Select(none, count, i64(0)))
        with T.serial(missing) as k:
            self._sink.put(T.Bind(views.constant("defaults")[k]), None)
        self._sink.close()


class Numbers:
    """Defaults and normalizer of a numeric feature; `take` gets each number, float64.

    `counts`: whether defaults are tallied, which those of an input are not.
    """

    def __init__(self, views: Views, take: Callable[[Any], None], counts: bool) -> None:
        self._views, self._take, self._counts = views, take, counts
        self._limit, self._exact = views.scalar("limit"), views.feature.exact
        self._count = Cell("int64", i64(0))

    def open(self) -> None:
        """Begin an entry."""
        self._count.set(i64(0))

    def wanted(self) -> Any:
        """Whether more numbers count."""
        if self._exact:
            return self._count.get() < self._limit
        return tirx.Or(self._limit == 0, self._count.get() < self._limit)

    def put(self, number: Any, valid: Any) -> None:
        """Take a number, or a place that has none."""
        here = T.Bind(tirx.And(valid, tirx.Not(tirx.isnan(number))))
        if isinstance(self._views.feature.bucketizer, NumBuckets):
            here = self._is_id(number, here)
        if not self._exact:
            with T.If(tirx.And(self.wanted(), here)), T.Then():
                self._emit(self._normalized(number))
            return
        with T.If(self.wanted()), T.Then():
            if self._counts:
                self._views.kernel.tally.defaults_if(T.Bind(tirx.Not(here)))
            default = T.Bind(self._views.constant("defaults")[self._count.get()])
            self._emit(T.Bind(tirx.Select(here, self._normalized(number), default)))

    def _is_id(self, number: Any, here: Any) -> Any:
        """Whether a number that is `here` is an id; counted where not."""
        fits = T.Bind(is_int64(self._normalized(number)))
        with T.If(tirx.And(tirx.And(self.wanted(), here), tirx.Not(fits))), T.Then():
            self._views.kernel.tally.no_id(number)
        return T.Bind(tirx.And(here, fits))

    def close(self) -> None:
        """End an entry: the default's numbers in place of those that did not come."""
        defaults, count = self._views.constant("defaults"), self._views.scalar("default_count")
        first = T.Bind(self._count.get())
        if self._exact:
            missing = T.Bind(tirx.max(self._limit - first, i64(0)))
            if self._counts:
                self._views.kernel.tally.defaults(missing)
            with T.serial(missing) as k:
                self._emit(T.Bind(defaults[first + k]))
        else:
            if self._counts:
                self._views.kernel.tally.defaults_if(T.Bind(first == 0))
            capped = tirx.Select(self._limit == 0, count, tirx.min(count, self._limit))
            with T.serial(tirx.Select(first == 0, capped, i64(0))) as k:
                self._emit(T.Bind(defaults[k]))

    def _normalized(self, number: Any) -> Any:
        return normalized(self._views.feature.normalizer, number)

    def _emit(self, number: Any) -> None:
        self._take(number)
        self._count.add(1)


class NumberEnd:
    """Takes numbers into a sink."""

    def __init__(self, views: Views, sink: AnySink, counts: bool = True) -> None:
        self._views, self._sink = views, sink
        self._numbers = Numbers(views, self._bucketize, counts)
        self.wanted, self.put = self._numbers.wanted, self._numbers.put

    def open(self, slot: Any) -> None:
        """Begin an entry."""
        self._numbers.open()
        self._sink.open(slot)

    def close(self) -> None:
        """End an entry."""
        self._numbers.close()
        self._sink.close()

    def _bucketize(self, value: Any) -> None:
        by = self._views.feature.bucketizer
        if by is None:
            self._sink.put_number(T.Bind(tirx.Cast("float32", value)))
        elif isinstance(by, Boundaries):
            edges, count = self._views.constant("boundaries"), self._views.scalar("boundary_count")
            single = T.Bind(tirx.Cast("float32", value))
            self._sink.put(boundary_count(edges, count, single), None)
        else:
            # A default may be anything.
            safe = T.Bind(tirx.Select(is_int64(value), value, f64(0.0)))
            self._sink.put(T.Bind(tirx.Cast("int64", safe)), None)
