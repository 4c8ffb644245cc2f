"""Operators that make numbers. Each emits `put(number, valid)`.

values    the column's numbers, or another feature's tokens parsed
lookup, match   numbers of a map, perhaps combined; combine   texts parsed, or mapped, combined
expr, overlap, kv_dot_product, edit distance   one file each
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit.tir import Cell, i64
from rtcompile.codegen.features.bucketize import probe_vocabulary
from rtcompile.codegen.features.call_library import emit_library_numbers
from rtcompile.codegen.features.combine import Accumulator
from rtcompile.codegen.features.dot_product import emit_dot_product
from rtcompile.codegen.features.edit_distance import emit_edit_distance
from rtcompile.codegen.features.expr import emit_expression
from rtcompile.codegen.features.input_tokens import input_tokens, text_taker
from rtcompile.codegen.features.inputs import InputView, Take, Views
from rtcompile.codegen.features.look_up import each_number_looked_up
from rtcompile.codegen.features.overlap import emit_overlap
from rtcompile.codegen.features.parse_number import parse_number
from rtcompile.codegen.features.vectors import Vector
from rtcompile.features.operators import (
    CallLibrary,
    Combine,
    EditDistance,
    Expr,
    KvDotProduct,
    Lookup,
    Match,
    Overlap,
    Values,
)

__all__ = ["Put", "emit_numbers"]

Put = Callable[[Any, Any], None]
_YES = True


def emit_numbers(views: Views, wanted: Callable[[], Any], put: Put) -> None:
    """Emit `put` for every number of a numeric feature, in order."""
    operator = views.feature.operator
    if isinstance(operator, Values):
        _values(views, wanted, put)
    elif isinstance(operator, Lookup | Match):
        _looked_up(views, operator.combiner, wanted, put)
    elif isinstance(operator, Combine):
        _combined(views, operator, put)
    elif isinstance(operator, Overlap):
        put(emit_overlap(views, operator.method), tirx.const(_YES, "bool"))
    elif isinstance(operator, CallLibrary):
        emit_library_numbers(views, put)
    elif isinstance(operator, EditDistance):
        put(*emit_edit_distance(views, operator.utf8))
    elif isinstance(operator, KvDotProduct):
        put(*emit_dot_product(views))
    else:
        assert isinstance(operator, Expr)
        vectors = [_vector(views, index) for index in range(len(views.inputs))]
        _tell_unequal(views, vectors)
        emit_expression(vectors, operator, wanted, put)


def number_taker(views: Views, put: Put) -> Take:
    """Another feature's values as numbers: texts are split, then parsed."""
    yes = tirx.const(_YES, "bool")
    tokens = text_taker(views, _always, lambda t, b, n, w: put(*_number(views, t, b, n)))
    return Take(
        tokens.text,
        lambda code: put(T.Bind(tirx.Cast("float64", code)), yes),
        lambda number: put(number, yes),
    )


def _vector(views: Views, index: int) -> Vector:
    """All numbers of an input; those of another feature are put into the scratch."""
    read, scratch = views.inputs[index], views.kernel.scratch
    if isinstance(read, InputView):
        return Vector(read.column.numbers, read.first, T.Bind(read.end - read.first))
    words, first = scratch.words("float64")
    count = Cell("int64", i64(0))

    def store(number: Any, valid: Any) -> None:
        with T.If(tirx.And(valid, tirx.Not(tirx.isnan(number)))), T.Then():
            T.buffer_store(words, number, [first + count.get()])
            count.add(1)

    with scratch.above((first + count.get() + 1) << 3):
        views.kernel.emit_inner(read, number_taker(views, store))
    scratch.top = T.Bind((first + count.get()) << 3)
    return Vector(words, first, T.Bind(count.get()))


def _tell_unequal(views: Views, vectors: list[Vector]) -> None:
    """Variables of several numbers that have fewer than another."""
    most = i64(1)
    for vector in vectors:
        most = T.Bind(tirx.max(most, vector.count))
    for vector in vectors if len(vectors) > 1 else ():
        with T.If(tirx.And(vector.count > 1, vector.count < most)), T.Then():
            views.kernel.tally.unequal(vector.count, most)


def _values(views: Views, wanted: Callable[[], Any], put: Put) -> None:
    read = views.inputs[0]
    if isinstance(read, InputView):
        at = Cell("int64", read.first)
        with T.While(tirx.And(at.get() < read.end, wanted())):
            number = T.Bind(read.column.number(at.get()))
            at.add(1)
            put(number, tirx.const(_YES, "bool"))
        return
    views.kernel.emit_inner(read, number_taker(views, put))


def _number(views: Views, text: Any, begin: Any, size: Any) -> tuple[Any, Any]:
    """A token as a number; one that is none is tallied."""
    number, valid = parse_number(text, begin, size, views.kernel.scratch)
    with T.If(tirx.Not(valid)), T.Then():
        views.kernel.tally.unparsed(text, begin, size)
    return number, valid


def _always() -> Any:
    return tirx.const(_YES, "bool")


def _looked_up(views: Views, combiner: str, wanted: Callable[[], Any], put: Put) -> None:
    """The numbers of a map, each, or combined."""
    yes = tirx.const(_YES, "bool")
    if not combiner:
        each_number_looked_up(views, wanted, lambda number: put(number, yes))
        return
    total = Accumulator(combiner)
    each_number_looked_up(views, _always, total.add)
    put(total.result(), total.any())


def _combined(views: Views, operator: Combine, put: Put) -> None:
    total, read = Accumulator(operator.combiner), views.inputs[0]
    if isinstance(read, Views) and operator.value_map is None:
        views.kernel.emit_inner(read, number_taker(views, lambda n, v: _add_number(total, n, v)))
        put(total.result(), total.any())
        return

    def token(text: Any, begin: Any, size: Any, weight: Any) -> None:
        if operator.value_map is None:
            number, valid = _number(views, text, begin, size)
        else:
            table = (views.constant("table"), views.constant("words"), views.scalar("last_slot"))
            none = tirx.const(-1, "int64")
            place = probe_vocabulary(table, text, begin, size, none)
            valid = T.Bind(place >= 0)
            with T.If(tirx.Not(valid)), T.Then():
                views.kernel.tally.unparsed(text, begin, size)
            safe = T.Bind(tirx.max(place, tirx.const(0, "int64")))
            number = T.Bind(views.constant("map_numbers")[safe])
        with T.If(valid), T.Then():
            total.add(number)

    input_tokens(views, 0, _always, token)
    put(total.result(), total.any())


def _add_number(total: Accumulator, number: Any, valid: Any) -> None:
    with T.If(tirx.And(valid, tirx.Not(tirx.isnan(number)))), T.Then():
        total.add(number)
