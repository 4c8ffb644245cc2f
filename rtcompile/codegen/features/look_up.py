"""lookup and match in TIR: the values that a map has for keys, as texts or as numbers.

a map that all rows share, and rows of numbered keys:
    the value of the row's number; see `hash_join.py`
else for each key (of match: for each pair of keys):
    a map that all rows share    hash the key, probe its table
    any other                    walk the map; with ALL, every hit of it
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit.tir import Cell, f64
from rtcompile.codegen.features.hash_join import JoinedMap
from rtcompile.codegen.features.hash_table import Key, ProbeTable
from rtcompile.codegen.features.input_tokens import Wanted, input_tokens
from rtcompile.codegen.features.inputs import InputView, Views
from rtcompile.codegen.features.maps import Found, each_match, find_in_map
from rtcompile.codegen.features.parse_number import parse_number
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
        found, walks = Found(), Cell("int32", tirx.Cast("int32", tirx.Not(shared)))
        with T.If(shared), T.Then():
            at = probe.find(*given)
            with T.If(probe.holds(at)):
                with T.Then():
                    found.set(*probe.text(at))
                with T.Else():
                    walks.set(tirx.Cast("int32", table.column.table_is_bad))
        with T.If(walks.get() != 0), T.Then():
            _walk(views, found, given)
        with T.If(found.here.get() != 0), T.Then():
            hit(given, (table.column.text, T.Bind(found.begin.get()), T.Bind(found.size.get())))

    _split_keys(views, wanted, keys)


def _joined_text(views: Views, joined: JoinedMap, hit: Hit) -> None:
    number = joined.number_of(views.row)
    here, value = joined.text(number)
    with T.If(here):
        with T.Then():
            hit(joined.keys(number), (_map_of(views).column.text, *value))
        with T.Else(), T.If(joined.needs_walk(number)), T.Then():
            _walk(views, Found(), joined.keys(number))


def each_number_looked_up(views: Views, wanted: Wanted, take: Callable[[Any], None]) -> None:
    """Emit `take` for every value that is a number; those of a table were parsed before."""
    table, joined = _map_of(views), views.kernel.joined
    if joined is not None:
        key = joined.number_of(views.row)
        number, valid = joined.number(key)
        with T.If(valid):
            with T.Then():
                take(number)
            with T.Else(), T.If(joined.needs_walk(key)), T.Then():
                _walk_to_number(views, joined.keys(key))
        return
    if _is_wild(views):

        def parsed(keys: list[Key], value: Key) -> None:
            number, valid = _parsed(views, value)
            with T.If(valid), T.Then():
                take(number)

        _each_wild(views, wanted, parsed)
        return
    shared, probe = ProbeTable.of(table)

    def keys(given: list[Key]) -> None:
        number, valid = Cell("float64", f64(0.0)), Cell("int32", 0)
        walks = Cell("int32", tirx.Cast("int32", tirx.Not(shared)))
        with T.If(shared), T.Then():
            at = probe.find(*given)
            value, is_number = probe.number(at)
            number.set(value)
            valid.set(tirx.Cast("int32", is_number))
            with T.If(tirx.Not(is_number)), T.Then():
                bad = tirx.Or(probe.holds(at), table.column.table_is_bad)
                walks.set(tirx.Cast("int32", bad))
        with T.If(walks.get() != 0), T.Then():
            value, is_number = _walk_to_number(views, given)
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


def _walk(views: Views, found: Found, keys: list[Key]) -> None:
    """The value of keys; one that is not there, in a map that cannot be read whole, is tallied."""
    table, bad = _map_of(views), Found()
    if len(keys) == 1:
        find_in_map(found, bad, table, *keys[0])
    else:

        def hit(first: Any, second: Any, value: Any) -> None:
            found.set(*value)

        each_match(table, False, keys[0], keys[1], bad, hit)
    _tell_bad(views, found.here, bad)


def _tell_bad(views: Views, found: Cell, bad: Found) -> None:
    with T.If(tirx.And(found.get() == 0, bad.here.get() != 0)), T.Then():
        text = _map_of(views).column.text
        views.kernel.tally.unparsed(text, T.Bind(bad.begin.get()), T.Bind(bad.size.get()))


def _walk_to_number(views: Views, keys: list[Key]) -> tuple[Any, Any]:
    """`_walk`, and the value as a number: (it, whether there is one)."""
    found, number, valid = Found(), Cell("float64", f64(0.0)), Cell("int32", 0)
    _walk(views, found, keys)
    with T.If(found.here.get() != 0), T.Then():
        piece = T.Bind(found.begin.get()), T.Bind(found.size.get())
        value, is_number = _parsed(views, (_map_of(views).column.text, *piece))
        number.set(value)
        valid.set(tirx.Cast("int32", is_number))
    return T.Bind(number.get()), T.Bind(valid.get() != 0)


def _parsed(views: Views, value: Key) -> tuple[Any, Any]:
    """A value as a number; one that is none is tallied, unless it is empty."""
    number, valid = parse_number(*value, views.kernel.scratch)
    with T.If(tirx.And(tirx.Not(valid), value[2] > 0)), T.Then():
        views.kernel.tally.unparsed(*value)
    return number, valid


def _each_wild(views: Views, wanted: Wanted, hit: Hit) -> None:
    table = _map_of(views)
    text = table.column.text

    def pair(keys: list[Key]) -> None:
        any_hit, bad = Cell("int32", 0), Found()

        def met(first: Any, second: Any, value: Any) -> None:
            any_hit.set(1)
            hit([(text, *first), (text, *second)], (text, *value))

        each_match(table, True, keys[0], keys[1], bad, met)
        _tell_bad(views, any_hit, bad)

    _split_keys(views, wanted, pair)
