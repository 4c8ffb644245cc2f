"""overlap_feature in TIR. Terms come as values of list columns; see `overlap_feature.py`.

Places are compared bytes by bytes: queries and titles are a few words.
"""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit.tir import Cell, f64, i64
from rtcompile.codegen.features.inputs import InputView, Views
from rtcompile.codegen.features.maps import same_bytes

__all__ = ["emit_overlap"]


class _Terms:
    """The terms of one side."""

    def __init__(self, view: InputView) -> None:
        self._view = view
        self.count = T.Bind(view.end - view.first)

    def term(self, index: Any) -> tuple[Any, Any, Any]:
        """(text, begin, size)."""
        begin, end = self._view.column.bytes_of(T.Bind(self._view.first + index))
        return self._view.column.text, begin, T.Bind(end - begin)

    def find(self, term: Any, first: Any) -> Any:
        """The first place from `first` on that has the term; -1 for none."""
        found, at = Cell("int64", i64(-1)), Cell("int64", first)
        with T.While(tirx.And(at.get() < self.count, found.get() < 0)):
            with T.If(same_bytes(self.term(T.Bind(at.get())), term)), T.Then():
                found.set(at.get())
            at.add(1)
        return T.Bind(found.get())


def emit_overlap(views: Views, method: str) -> Any:
    """The number, 0 where a side has no terms."""
    one, other = views.inputs
    assert isinstance(one, InputView)
    assert isinstance(other, InputView)
    query, title = _Terms(one), _Terms(other)
    result = Cell("float64", f64(0.0))
    with T.If(tirx.And(query.count > 0, title.count > 0)), T.Then():
        if method == "query_common_ratio":
            result.set(_common(query, title))
        elif method == "title_common_ratio":
            result.set(_common(title, query))
        elif method in ("is_contain", "index_of", "is_equal"):
            result.set(_contained(query, title, method))
        elif method == "proximity_min_cover":
            result.set(_min_cover(query, title))
        else:
            result.set(_distance(query, title, method))
    return T.Bind(result.get())


def _float(value: Any) -> Any:
    return T.Bind(tirx.Cast("float64", value))


def _common(terms: _Terms, among: _Terms) -> Any:
    count = Cell("int64", i64(0))
    with T.serial(terms.count) as k:
        place = among.find(terms.term(k), i64(0))
        count.add(tirx.Cast("int64", place >= 0))
    return T.Bind(_float(count.get()) / _float(terms.count))


def _contained(query: _Terms, title: _Terms, method: str) -> Any:
    found, at = Cell("int64", i64(-1)), Cell("int64", i64(0))
    last = title.count - query.count
    if method == "is_equal":
        last = T.Bind(tirx.Select(title.count == query.count, i64(0), i64(-1)))
    with T.While(tirx.And(at.get() <= last, found.get() < 0)):
        place, same = T.Bind(at.get()), Cell("int64", i64(0))
        with T.serial(query.count) as k:
            equal = same_bytes(title.term(T.Bind(place + k)), query.term(k))
            same.add(tirx.Cast("int64", equal))
        with T.If(same.get() == query.count), T.Then():
            found.set(place)
        at.add(1)
    if method == "index_of":
        return _float(found.get())
    return _float(found.get() >= 0)


def _min_cover(query: _Terms, title: _Terms) -> Any:
    best = Cell("int64", i64(0))
    with T.serial(title.count) as begin:
        furthest, missing = Cell("int64", begin), Cell("int32", 0)
        with T.serial(query.count) as k:
            place = title.find(query.term(k), begin)
            furthest.set(tirx.max(furthest.get(), place))
            missing.set(tirx.Select(place < 0, tirx.const(1, "int32"), missing.get()))
        length = T.Bind(furthest.get() - begin + 1)
        better = tirx.Or(best.get() == 0, length < best.get())
        with T.If(tirx.And(missing.get() == 0, better)), T.Then():
            best.set(length)
    return _float(best.get())


def _distance(query: _Terms, title: _Terms, method: str) -> Any:
    least, largest = Cell("int64", i64(0)), Cell("int64", i64(0))
    total, pairs = Cell("int64", i64(0)), Cell("int64", i64(0))
    with T.serial(query.count) as a:
        first_new = T.Bind(query.find(query.term(a), i64(0)) == a)
        with T.serial(query.count) as b:
            new = T.Bind(query.find(query.term(b), i64(0)) == b)
            with T.If(tirx.And(tirx.And(first_new, new), b > a)), T.Then():
                distance = _pair_distance(title, query.term(a), query.term(b))
                with T.If(distance <= title.count), T.Then():
                    start = pairs.get() == 0
                    smaller = tirx.Or(start, distance < least.get())
                    least.set(tirx.Select(smaller, distance, least.get()))
                    largest.set(tirx.max(largest.get(), distance))
                    total.add(distance)
                    pairs.add(1)
    chosen = {"proximity_min_dist": least, "proximity_max_dist": largest}.get(method)
    some = T.Bind(tirx.max(pairs.get(), i64(1)))
    value = _float(chosen.get()) if chosen else T.Bind(_float(total.get()) / _float(some))
    return T.Bind(tirx.Select(pairs.get() == 0, _float(title.count + 1), value))


def _pair_distance(title: _Terms, one: Any, other: Any) -> Any:
    best = Cell("int64", title.count + 1)
    with T.serial(title.count) as i:
        here = same_bytes(title.term(i), one)
        with T.serial(T.Bind(tirx.Select(here, title.count, i64(0)))) as j:
            apart = T.Bind(tirx.max(i - j, j - i))
            with T.If(tirx.And(apart < best.get(), same_bytes(title.term(j), other))), T.Then():
                best.set(apart)
    return T.Bind(best.get())
