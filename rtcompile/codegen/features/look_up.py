"""lookup and match in TIR: the values that a map has for keys, as texts or as numbers.

a map that all rows share, and rows of numbered keys:
    the value of the row's number; see `joined_map.py`
else for each key (of match: for each pair of keys):
    a map that all rows share    hash the key, probe its table
    any other                    walk the map; with ALL, every hit of it
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.features.input_tokens import Wanted, input_tokens
from rtcompile.codegen.features.inputs import InputView, Views
from rtcompile.codegen.features.joined_map import JoinedMap
from rtcompile.codegen.features.maps import Found, each_match, find_in_map
from rtcompile.codegen.features.parse_number import parse_number
from rtcompile.codegen.features.probe_table import Key, ProbeTable
from rtcompile.codegen.features.tir import Cell, f64
from rtcompile.features.operators import Match

__all__ = ["each_looked_up", "each_number_looked_up"]

Hit = Callable[[list[Key], Key], None]  # (keys, value)


def _is_wild(views: Views) -> bool:
    return isinstance(views.feature.operator, Match) and views.feature.operator.wild


def _map_of(views: Views) -> InputView:
    table = views.inputs[0]
    assert isinstance(table, InputView)
    return table


def each_looked_up(views: Views, wanted: Wanted, hit: Hit) -> None:
    """Emit `hit` for every value, as text."""
    table, joined = _map_of(views), views.kernel.joined
    if joined is not None:
        _joined_text(views, joined, hit)
        return
    if _is_wild(views):
        _each_wild(views, wanted, hit)
        return
    shared, probe = ProbeTable.of(table)

    def keys(given: list[Key]) -> None:
        found = Found()
        with T.If(shared):
            with T.Then():
                at = probe.find(*given)
                with T.If(probe.holds(at)), T.Then():
                    found.set(*probe.text(at))
            with T.Else():
                _walk(found, table, given)
        with T.If(found.here.get() != 0), T.Then():
            hit(given, (table.column.text, T.Bind(found.begin.get()), T.Bind(found.size.get())))

    _split_keys(views, wanted, keys)


def _joined_text(views: Views, joined: JoinedMap, hit: Hit) -> None:
    number = joined.number_of(views.row)
    here, value = joined.text(number)
    with T.If(here), T.Then():
        hit(joined.keys(number), (_map_of(views).column.text, *value))


def each_number_looked_up(views: Views, wanted: Wanted, take: Callable[[Any], None]) -> None:
    """Emit `take` for every value that is a number; those of a table were parsed before."""
    table, scratch, joined = _map_of(views), views.kernel.scratch, views.kernel.joined
    if joined is not None:
        number, valid = joined.number(joined.number_of(views.row))
        with T.If(valid), T.Then():
            take(number)
        return
    if _is_wild(views):

        def parsed(keys: list[Key], value: Key) -> None:
            number, valid = parse_number(*value, scratch)
            with T.If(valid), T.Then():
                take(number)

        _each_wild(views, wanted, parsed)
        return
    shared, probe = ProbeTable.of(table)

    def keys(given: list[Key]) -> None:
        number, valid = Cell("float64", f64(0.0)), Cell("int32", 0)
        with T.If(shared):
            with T.Then():
                value, is_number = probe.number(probe.find(*given))
                number.set(value)
                valid.set(tirx.Cast("int32", is_number))
            with T.Else():
                found = Found()
                _walk(found, table, given)
                with T.If(found.here.get() != 0), T.Then():
                    piece = T.Bind(found.begin.get()), T.Bind(found.size.get())
                    value, is_number = parse_number(table.column.text, *piece, scratch)
                    number.set(value)
                    valid.set(tirx.Cast("int32", is_number))
        with T.If(valid.get() != 0), T.Then():
            take(T.Bind(number.get()))

    _split_keys(views, wanted, keys)


def _split_keys(views: Views, wanted: Wanted, body: Callable[[list[Key]], None]) -> None:
    def level(keys: list[Key]) -> None:
        def token(text: Any, begin: Any, size: Any, weight: Any) -> None:
            found = [*keys, (text, begin, size)]
            if len(found) + 1 < len(views.inputs):
                level(found)
            else:
                body(found)

        input_tokens(views, len(keys) + 1, wanted, token)

    level([])


def _walk(found: Found, table: InputView, keys: list[Key]) -> None:
    if len(keys) == 1:
        find_in_map(found, table, *keys[0])
    else:
        each_match(table, False, keys[0], keys[1], lambda first, second, value: found.set(*value))


def _each_wild(views: Views, wanted: Wanted, hit: Hit) -> None:
    table = _map_of(views)
    text = table.column.text

    def met(first: Any, second: Any, value: Any) -> None:
        hit([(text, *first), (text, *second)], (text, *value))

    _split_keys(views, wanted, lambda keys: each_match(table, True, keys[0], keys[1], met))
