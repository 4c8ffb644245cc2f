"""lookup and match in TIR: the values that a map has for keys, as texts or as numbers.

a map that all rows share, and a row of one key that was hashed for all features (`row_keys.py`):
    probe its table
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
from rtcompile.codegen.features.maps import Found, each_match, find_in_map
from rtcompile.codegen.features.parse_number import parse_number
from rtcompile.codegen.features.probe_table import Key, ProbeTable
from rtcompile.codegen.features.row_keys import RowKeys
from rtcompile.codegen.features.tir import Cell, f64, i64
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
    table = _map_of(views)
    if _is_wild(views):
        _each_wild(views, wanted, hit)
        return
    shared, probe = ProbeTable.of(table)

    def value(found: Found) -> Key:
        return table.column.text, T.Bind(found.begin.get()), T.Bind(found.size.get())

    def put(found: Found, given: list[Key], hashed: Any) -> None:
        at = probe.find(*given, hashed=hashed)
        with T.If(probe.holds(at)), T.Then():
            found.set(*probe.text(at))

    def keys(given: list[Key]) -> None:
        found = Found()
        with T.If(shared):
            with T.Then():
                put(found, given, None)
            with T.Else():
                _walk(found, table, given)
        with T.If(found.here.get() != 0), T.Then():
            hit(given, value(found))

    def hashed_key(of_row: RowKeys) -> None:
        found = Found()
        put(found, of_row.keys, of_row.hash)
        with T.If(found.here.get() != 0), T.Then():
            hit(of_row.keys, value(found))

    _each_keys(views, wanted, shared, keys, hashed_key)


def each_number_looked_up(views: Views, wanted: Wanted, take: Callable[[Any], None]) -> None:
    """Emit `take` for every value that is a number; those of a table were parsed before."""
    table, scratch = _map_of(views), views.kernel.scratch
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

    def hashed_key(of_row: RowKeys) -> None:
        value, is_number = probe.number(probe.find(*of_row.keys, hashed=of_row.hash))
        with T.If(is_number), T.Then():
            take(value)

    _each_keys(views, wanted, shared, keys, hashed_key)


def _each_keys(
    views: Views,
    wanted: Wanted,
    shared: Any,
    body: Callable[[list[Key]], None],
    hashed_key: Callable[[RowKeys], None],
) -> None:
    """`hashed_key` for a row that has one key, and it hashed; else `body` for each."""
    if views.kernel.row_keys is None:
        _split_keys(views, wanted, body)
        return
    of_row = RowKeys(views)
    with T.If(tirx.And(shared, of_row.hash != i64(0))):
        with T.Then():
            hashed_key(of_row)
        with T.Else():
            _split_keys(views, wanted, body)


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
