"""A look-up's kernel, once for a map that is joined with the rows' keys, once for any other.

map for all rows, keys numbered:
    join (`hash_join.py`)
    one value a row:   for each number: results[number] = the feature's value, or its default
                       for i in range(rows): the sink takes results[numbers[i]]
    else:              for i in range(rows): as any feature
else:                  for i in range(rows): as any feature
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit.tir import Cell, i64
from rtcompile.codegen.features.dictionary_encoding import KeyNumbers, has_key_numbers
from rtcompile.codegen.features.feature_writers import Sink
from rtcompile.codegen.features.finalizers import TextEnd
from rtcompile.codegen.features.hash_join import JoinedMap
from rtcompile.codegen.features.inputs import InputView, Views
from rtcompile.codegen.features.scalar_features import emit_single_numbers, has_single_number
from rtcompile.codegen.features.text_operators import emit_tokens
from rtcompile.features.plan import Feature
from rtcompile.runtime.abi.encoded import Mode

__all__ = ["emit_joined", "has_single"]


def has_single(feature: Feature) -> bool:
    """Whether the kernel gives a row exactly one value."""
    if feature.numeric or not has_key_numbers(feature):
        return has_single_number(feature)
    # A key has one text at most.
    return feature.bucketizer is not None and len(feature.default) == 1


def emit_joined(views: Views, sink: Sink, rows: Any, emit_rows: Callable[[], None]) -> None:
    """Emit the kernel. `emit_rows`: the way of any feature."""
    table, keys = views.inputs[0], KeyNumbers(views)
    assert isinstance(table, InputView)
    shared = table.column.mode == i64(Mode.ONE)
    with T.If(tirx.And(shared, keys.numbered)):
        with T.Then():
            table.at_row(i64(0))
            joined = JoinedMap(views, keys)
            with joined.made():
                views.kernel.joined = joined
                if has_single(views.feature):
                    _by_number(views, keys, joined, sink, rows)
                else:
                    emit_rows()
                views.kernel.joined = None
        with T.Else():
            emit_rows()


def _by_number(views: Views, keys: KeyNumbers, joined: JoinedMap, sink: Sink, rows: Any) -> None:
    dense = views.feature.bucketizer is None
    scratch = views.kernel.scratch
    results, first = scratch.words("float64" if dense else "int64")

    def take(number: Any, value: Any) -> None:
        wide = tirx.Cast("float64", value) if dense else value
        T.buffer_store(results, wide, [first + number])

    joined.by_number = True
    counted = views.kernel.tally.by_number(keys.rows_of, keys.first_row)
    with counted, scratch.above(T.Bind((first + joined.count) << 3)):
        if has_single_number(views.feature):
            emit_single_numbers(views, take, joined.count)
        else:
            _texts(views, take, joined.count)
    joined.by_number = False
    with T.serial(rows) as i:
        value = results[first + joined.number_of(i)]
        sink.put_only(i, T.Bind(tirx.Cast("float32", value) if dense else value))


def _texts(views: Views, take: Callable[[Any, Any], None], count: Any) -> None:
    default = T.Bind(views.constant("defaults")[0])
    only = _Only()
    end = TextEnd(views, only)
    with T.serial(count) as number:
        views.row = views.kernel.tally.row = number
        only.code.set(default)
        only.count.set(i64(0))
        emit_tokens(views, end.wanted, end.put)
        views.kernel.tally.defaults_if(T.Bind(only.count.get() == 0))
        take(number, T.Bind(only.code.get()))


class _Only:
    """Ends a feature as a sink does: keeps the one id."""

    def __init__(self) -> None:
        self.count, self.code = Cell("int64", i64(0)), Cell("int64", i64(0))

    def open(self, slot: Any) -> None:
        """Nothing is opened."""

    def put(self, code: Any, weight: Any) -> None:
        """Take an id."""
        self.code.set(code)
        self.count.add(1)

    def put_number(self, number: Any) -> None:
        """Numbers have another way."""
        raise AssertionError("a feature with ids")

    def close(self) -> None:
        """Nothing is left."""
