"""Operators that make tokens. Each emits `body(text, begin, size, weight)` for every token.

A prefix that the columns do not have yet is joined to each token in the scratch.

values     the input's tokens
combo      for each combination: join into the scratch
lookup     for each key: the map's value, perhaps with "key_" before it, in the scratch
match      for each pair of keys: the value, perhaps with keys before it
bool_mask  walk values and mask side by side
library    the text that a function of a shared library writes, split
"""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit.tir import Cell, i64
from rtcompile.codegen.features.call_library import emit_library_text
from rtcompile.codegen.features.hash_table import Key
from rtcompile.codegen.features.input_tokens import Body, Wanted, input_tokens
from rtcompile.codegen.features.inputs import InputView, Views
from rtcompile.codegen.features.look_up import each_looked_up
from rtcompile.codegen.features.parse_number import parse_number
from rtcompile.codegen.features.scratch import Scratch
from rtcompile.codegen.features.tokens import TokenCursor, separator_of, split_text
from rtcompile.features.operators import BoolMask, CallLibrary, Combo, Lookup, Match, Values

__all__ = ["emit_tokens"]


def emit_tokens(views: Views, wanted: Wanted, body: Body) -> None:
    """Emit `body` for every token of a text feature, in order."""
    operator = views.feature.operator
    if views.feature.prefix and not views.feature.encodes_prefix:
        body = _prefixed(views, body)
    if isinstance(operator, Values):
        input_tokens(views, 0, wanted, body)
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


def _prefixed(views: Views, body: Body) -> Body:
    scratch = views.kernel.scratch

    def joined(text: Any, begin: Any, size: Any, weight: Any) -> None:
        bottom = T.Bind(scratch.top)
        at = scratch.append(bottom, views.constant("prefix"), i64(0), views.scalar("prefix_size"))
        at = scratch.append(at, text, begin, size)
        with scratch.above(at):
            body(scratch.bytes, bottom, T.Bind(at - bottom), weight)

    return joined


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
    scratch = views.kernel.scratch

    def hit(keys: list[Key], value: Key) -> None:
        if operator.show_key:
            _join(scratch, [*keys, value], body)
        else:
            body(*value, None)

    each_looked_up(views, wanted, hit)


def _match(views: Views, operator: Match, wanted: Wanted, body: Body) -> None:
    scratch = views.kernel.scratch

    def hit(keys: list[Key], value: Key) -> None:
        shown = [keys[0]] if operator.show_first else []
        shown += [keys[1]] if operator.show_second else []
        if shown:
            _join(scratch, [*shown, value], body)
            return
        with T.If(value[2] > 0), T.Then():
            body(*value, None)

    each_looked_up(views, wanted, hit)


def _library(views: Views, wanted: Wanted, body: Body) -> None:
    def split(text: Any, begin: Any, size: Any) -> None:
        piece = (begin, T.Bind(begin + size), tirx.const(True, "bool"))
        separator = separator_of(views)
        split_text(text, piece, separator, wanted, lambda b, n: body(text, b, n, None))

    emit_library_text(views, split)


def _bool_mask(views: Views, wanted: Wanted, body: Body) -> None:
    separator = separator_of(views)
    values, mask = views.inputs
    assert isinstance(values, InputView)
    assert isinstance(mask, InputView)
    one, other = TokenCursor(values, separator), TokenCursor(mask, separator)
    going, seen = Cell("int32", 1), Cell("int64", i64(0))
    with T.While(tirx.And(going.get() != 0, wanted())):
        one.next()
        other.next()
        going.set(tirx.Cast("int32", tirx.And(one.valid.get() != 0, other.valid.get() != 0)))
        with T.If(one.valid.get() != other.valid.get()), T.Then():
            views.kernel.tally.unequal(T.Bind(seen.get()), T.Bind(seen.get() + 1))
        seen.add(1)
        with T.If(going.get() != 0), T.Then():
            kept = _is_true(views, mask, other)
            size = T.Bind(one.size.get())
            with T.If(tirx.And(kept, size > 0)), T.Then():
                body(values.column.text, T.Bind(one.begin.get()), size, None)


def _spells(text: Any, begin: Any, size: Any, word: str) -> Any:
    """Whether a piece is a word, in any case."""
    same = size == i64(len(word))
    for k, character in enumerate(word):
        lower = text[begin + k] | tirx.const(0x20, "uint8")
        same = tirx.And(same, lower == tirx.const(ord(character), "uint8"))
    return T.Bind(same)


def _is_true(views: Views, mask: InputView, cursor: TokenCursor) -> Any:
    text, begin, size = mask.column.text, T.Bind(cursor.begin.get()), T.Bind(cursor.size.get())
    number, valid = parse_number(text, begin, size, views.kernel.scratch)
    word = _spells(text, begin, size, "true")
    other = tirx.Or(word, _spells(text, begin, size, "false"))
    with T.If(tirx.Not(tirx.Or(valid, tirx.Or(other, size == 0)))), T.Then():
        views.kernel.tally.unparsed(text, begin, size)
    # NaN is not 0 either.
    counts = tirx.Or(tirx.isnan(number), number != tirx.const(0.0, "float64"))
    return T.Bind(tirx.Select(valid, counts, word))
