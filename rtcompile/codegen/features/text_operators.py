"""Operators that make tokens. Each emits `body(text, begin, size, weight)` for every token.

values     the input's tokens
combo      for each combination: join into the scratch
lookup     for each key: the map's value, perhaps with "key_" before it, in the scratch
match      for each pair of keys: the value, perhaps with keys before it
bool_mask  walk values and mask side by side
library    the text that a function of a shared library writes, split
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.features.call_library import emit_library_text
from rtcompile.codegen.features.format_number import integer_text, number_text
from rtcompile.codegen.features.inputs import InputView, Take, Views
from rtcompile.codegen.features.maps import each_match, find_in_map
from rtcompile.codegen.features.parse_number import parse_number
from rtcompile.codegen.features.scratch import Scratch
from rtcompile.codegen.features.tir import Cell, i64
from rtcompile.codegen.features.tokens import TokenCursor, each_token, split_text
from rtcompile.features.operators import BoolMask, CallLibrary, Combo, Lookup, Match, Values

__all__ = ["Body", "Wanted", "emit_tokens", "input_tokens", "text_taker"]

Body = Callable[[Any, Any, Any, Any], None]
Wanted = Callable[[], Any]


def emit_tokens(views: Views, wanted: Wanted, body: Body) -> None:
    """Emit `body` for every token of a text feature, in order."""
    operator = views.feature.operator
    if isinstance(operator, Values):
        _values(views, wanted, body)
    elif isinstance(operator, Combo):
        _combo(views, wanted, body)
    elif isinstance(operator, Lookup):
        _lookup(views, operator, wanted, body)
    elif isinstance(operator, Match):
        _match(views, operator, wanted, body)
    elif isinstance(operator, CallLibrary):
        _library(views, wanted, body)
    else:
        assert isinstance(operator, BoolMask)
        _bool_mask(views, wanted, body)


def input_tokens(views: Views, index: int, wanted: Wanted, body: Body) -> None:
    """The tokens of one input: of a raw column, or of what another feature makes."""
    read, separator = views.inputs[index], views.scalar("separator")
    if isinstance(read, InputView):
        weighted = views.feature.weighted

        def token(value: Any, begin: Any, size: Any) -> None:
            weight = T.Bind(read.column.number(value)) if weighted else None
            body(read.column.text, begin, size, weight)

        each_token(read, separator, wanted, token)
        return
    views.kernel.emit_inner(read, text_taker(views, wanted, body))


def text_taker(views: Views, wanted: Wanted, body: Body) -> Take:
    """Another feature's values as tokens: texts are split by who reads them."""
    scratch, separator = views.kernel.scratch, views.scalar("separator")

    def split(text: Any, begin: Any, size: Any) -> None:
        piece = (begin, T.Bind(begin + size), tirx.const(True, "bool"))
        split_text(text, piece, separator, wanted, lambda b, n: body(text, b, n, None))

    def digits(text: Any, begin: Any, size: Any) -> None:
        with T.If(wanted()), T.Then():
            body(text, begin, size, None)

    return Take(
        split,
        lambda code: integer_text(scratch, code, digits),
        lambda number: number_text(scratch, number, digits),
    )


def _values(views: Views, wanted: Wanted, body: Body) -> None:
    input_tokens(views, 0, wanted, body)


def _combo(views: Views, wanted: Wanted, body: Body) -> None:
    """Join the pieces at the innermost level, above all that other features hold there."""

    def level(pieces: list[tuple[Any, Any, Any]]) -> None:
        def token(text: Any, begin: Any, size: Any, weight: Any) -> None:
            found = [*pieces, (text, begin, size)]
            if len(found) < len(views.inputs):
                level(found)
            else:
                _join(views.kernel.scratch, found, body)

        input_tokens(views, len(pieces), wanted, token)

    level([])


def _join(scratch: Scratch, pieces: list[tuple[Any, Any, Any]], body: Body) -> None:
    """Emit `body` for the pieces with "_" between them."""
    at = bottom = T.Bind(scratch.top)
    for index, piece in enumerate(pieces):
        at = scratch.append(scratch.underscore(at) if index else at, *piece)
    with scratch.above(at):
        body(scratch.bytes, bottom, T.Bind(at - bottom), None)


def _lookup(views: Views, operator: Lookup, wanted: Wanted, body: Body) -> None:
    table = views.inputs[0]
    assert isinstance(table, InputView)
    scratch = views.kernel.scratch

    def key(text: Any, begin: Any, size: Any, weight: Any) -> None:
        found = find_in_map(table, text, begin, size)
        with T.If(found.size.get() > 0), T.Then():
            value = (table.column.text, T.Bind(found.begin.get()), T.Bind(found.size.get()))
            if operator.show_key:
                _join(scratch, [(text, begin, size), value], body)
            else:
                body(*value, None)

    input_tokens(views, 1, wanted, key)


def _match(views: Views, operator: Match, wanted: Wanted, body: Body) -> None:
    table = views.inputs[0]
    assert isinstance(table, InputView)
    scratch, text = views.kernel.scratch, table.column.text

    def hit(first: Any, second: Any, value: Any) -> None:
        shown = [first] if operator.show_first else []
        shown += [second] if operator.show_second else []
        if shown:
            _join(scratch, [(text, *piece) for piece in [*shown, value]], body)
            return
        with T.If(value[1] > 0), T.Then():
            body(text, value[0], value[1], None)

    def first_key(t1: Any, b1: Any, s1: Any, w1: Any) -> None:
        def second_key(t2: Any, b2: Any, s2: Any, w2: Any) -> None:
            each_match(table, operator.wild, (t1, b1, s1), (t2, b2, s2), hit)

        input_tokens(views, 2, wanted, second_key)

    input_tokens(views, 1, wanted, first_key)


def _library(views: Views, wanted: Wanted, body: Body) -> None:
    def split(text: Any, begin: Any, size: Any) -> None:
        piece = (begin, T.Bind(begin + size), tirx.const(True, "bool"))
        separator = views.scalar("separator")
        split_text(text, piece, separator, wanted, lambda b, n: body(text, b, n, None))

    emit_library_text(views, split)


def _bool_mask(views: Views, wanted: Wanted, body: Body) -> None:
    separator = views.scalar("separator")
    values, mask = views.inputs
    assert isinstance(values, InputView)
    assert isinstance(mask, InputView)
    one, other = TokenCursor(values, separator), TokenCursor(mask, separator)
    going = Cell("int32", 1)
    with T.While(tirx.And(going.get() != 0, wanted())):
        one.next()
        other.next()
        going.set(tirx.Cast("int32", tirx.And(one.valid.get() != 0, other.valid.get() != 0)))
        with T.If(going.get() != 0), T.Then():
            kept = _is_true(views, mask, other)
            size = T.Bind(one.size.get())
            with T.If(tirx.And(kept, size > 0)), T.Then():
                body(values.column.text, T.Bind(one.begin.get()), size, None)


def _is_true(views: Views, mask: InputView, cursor: TokenCursor) -> Any:
    text, begin, size = mask.column.text, T.Bind(cursor.begin.get()), T.Bind(cursor.size.get())
    number, valid = parse_number(text, begin, size, views.kernel.scratch)
    word = size == i64(4)
    for k, character in enumerate("true"):
        lower = text[begin + k] | tirx.const(0x20, "uint8")
        word = tirx.And(word, lower == tirx.const(ord(character), "uint8"))
    # NaN is not 0 either.
    counts = tirx.Or(tirx.isnan(number), number != tirx.const(0.0, "float64"))
    return T.Bind(tirx.Select(valid, counts, word))
