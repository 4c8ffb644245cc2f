"""Features that another feature reads: their output, straight into the reader.

    for each element, where a plain feature reads a sequence:
        text without a bucketizer   take.text      its tokens, or the default's
        ids                         take.integer
        numbers                     take.number    normalized

A reader of text gets integers and numbers as digits.
"""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit.tir import Cell, i64
from rtcompile.codegen.features.finalizers import NumberEnd, Numbers, TextEnd
from rtcompile.codegen.features.inputs import Take, Views
from rtcompile.codegen.features.number_operators import emit_numbers
from rtcompile.codegen.features.text_operators import emit_tokens

__all__ = ["emit_inner"]


def emit_inner(views: Views, take: Take) -> None:
    """Emit `take` for all that the feature gives at the entry at hand."""
    sequence = views.feature.sequence
    if sequence is None or views.read_by_sequence:
        _entry(views, take)
        return
    columns = [column for column in views.columns() if column.sequence]
    count = i64(1)
    for column in columns:
        count = T.Bind(tirx.max(count, column.count))
    with T.serial(T.Bind(tirx.min(count, i64(sequence.length)))) as place:
        for column in columns:
            column.at_element(place)
        _entry(views, take)


def _entry(views: Views, take: Take) -> None:
    feature = views.feature
    if feature.numeric and feature.bucketizer is None:
        numbers = Numbers(views, take.number, counts=False)
        numbers.open()
        emit_numbers(views, numbers.wanted, numbers.put)
        numbers.close()
    elif feature.numeric:
        end = NumberEnd(views, _Ids(take), counts=False)
        end.open(None)
        emit_numbers(views, end.wanted, end.put)
        end.close()
    elif feature.bucketizer is not None:
        ids = TextEnd(views, _Ids(take), counts=False)
        ids.open(None)
        emit_tokens(views, ids.wanted, ids.put)
        ids.close()
    else:
        _texts(views, take)


def _texts(views: Views, take: Take) -> None:
    count, limit = Cell("int64", i64(0)), views.scalar("limit")

    def wanted() -> Any:
        return tirx.Or(limit == 0, count.get() < limit)

    def value(text: Any, begin: Any, size: Any, weight: Any) -> None:
        with T.If(wanted()), T.Then():
            count.add(1)
            take.text(text, begin, size)

    emit_tokens(views, wanted, value)
    text, ends = views.constant("default_text"), views.constant("default_ends")
    missing = tirx.Select(count.get() == 0, views.scalar("default_count"), i64(0))
    with T.serial(T.Bind(missing)) as k:
        take.text(text, T.Bind(ends[k]), T.Bind(ends[k + 1] - ends[k]))


class _Ids:
    """Ends a feature as a sink does."""

    def __init__(self, take: Take) -> None:
        self._take = take
        self.count = Cell("int64", i64(0))

    def open(self, slot: Any) -> None:
        """Begin an entry."""
        self.count.set(i64(0))

    def put(self, code: Any, weight: Any) -> None:
        """Take an id."""
        self.count.add(1)
        self._take.integer(code)

    def put_number(self, number: Any) -> None:
        """Numbers have another way."""
        raise AssertionError("a feature with ids")

    def close(self) -> None:
        """End an entry."""
