"""Numeric features of one number a row: a tile's numbers first, then their buckets in vectors.

    for each tile of the rows:
        for i in range(64):    singles[i] = the row's first number, normalized, or the default
        boundaries:            ids[:] = how many boundaries are at or below singles[:]
        for i in range(64):    take(row, ids[i]), or singles[i]

Few boundaries are counted one after another, for 32 rows at once; many are halved step by step,
a step for all rows before the next, so that no row waits for another.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit.tir import Cell, f64, i64
from rtcompile.codegen.features.inputs import InputView, Views
from rtcompile.codegen.features.normalize import normalized
from rtcompile.codegen.features.number_operators import emit_numbers
from rtcompile.codegen.program.program import TILE
from rtcompile.features.operators import Values
from rtcompile.features.plan import Boundaries, Feature

__all__ = ["TakeOnly", "emit_single_numbers", "has_single_number"]

TakeOnly = Callable[[Any, Any], None]  # (row, id or float32)

# Boundaries up to here are counted: 64 rows by 128 take as long as seven steps of halving.
_COUNTED = 128
_LANES = 32


def has_single_number(feature: Feature) -> bool:
    """Whether a row has exactly one number."""
    plain = feature.sequence is None and feature.exact and feature.value_dim == 1
    by = feature.bucketizer
    return feature.numeric and plain and (by is None or isinstance(by, Boundaries))


def emit_single_numbers(views: Views, take: TakeOnly, rows: Any) -> None:
    """Emit `take` for every row of such a feature."""
    with T.serial((rows + (TILE - 1)) // TILE) as tile:
        start = T.Bind(tile * TILE)
        _tile(views, take, start, T.Bind(tirx.min(rows - start, i64(TILE))))


def _tile(views: Views, take: TakeOnly, start: Any, rows: Any) -> None:
    singles = T.alloc_buffer((TILE,), "float32")
    with T.vectorized(TILE) as j:
        T.buffer_store(singles, tirx.const(0, "float32"), [j])
    default = T.Bind(views.constant("defaults")[0])
    with T.serial(rows) as i:
        views.row = views.kernel.tally.row = T.Bind(start + i)
        if views.kernel.joined is None:
            for column in views.columns():
                column.at_row(views.row)
        number = T.Bind(_first_number(views))
        views.kernel.tally.defaults_if(T.Bind(tirx.isnan(number)))
        given = normalized(views.feature.normalizer, number)
        single = tirx.Select(tirx.isnan(number), default, given)
        T.buffer_store(singles, tirx.Cast("float32", single), [i])
    if views.feature.bucketizer is None:
        with T.serial(rows) as i:
            take(T.Bind(start + i), singles[i])
        return
    ids = _boundary_counts(views, singles)
    with T.serial(rows) as i:
        take(T.Bind(start + i), T.Bind(tirx.Cast("int64", ids[i])))


def _first_number(views: Views) -> Any:
    """Of the row at hand; NaN where there is none."""
    number, read = Cell("float64", f64(math.nan)), views.inputs[0]
    if isinstance(views.feature.operator, Values) and isinstance(read, InputView):
        with T.If(read.first < read.end), T.Then():
            number.set(read.column.number(read.first))
        return number.get()
    wanted = Cell("int32", 1)

    def put(given: Any, valid: Any) -> None:
        with T.If(wanted.get() != 0), T.Then():
            wanted.set(0)
            number.set(tirx.Select(valid, given, f64(math.nan)))

    emit_numbers(views, lambda: wanted.get() != 0, put)
    return number.get()


def _boundary_counts(views: Views, singles: Any) -> Any:
    """How many of the sorted float32 boundaries are at or below each single: int32, a row each."""
    boundaries, count = views.constant("boundaries"), views.scalar("boundary_count")
    ids = T.alloc_buffer((TILE,), "int32")
    with T.vectorized(TILE) as j:
        T.buffer_store(ids, tirx.const(0, "int32"), [j])
    with T.If(count <= i64(_COUNTED)):
        with T.Then():
            for first in range(0, TILE, _LANES):
                _counted(boundaries, count, (singles, ids, first))
        with T.Else():
            _halved(boundaries, count, (singles, ids))
    return ids


def _counted(boundaries: Any, count: Any, part: tuple[Any, Any, int]) -> None:
    singles, ids, first = part
    below = T.alloc_buffer((_LANES,), "int32")
    with T.vectorized(_LANES) as j:
        T.buffer_store(below, tirx.const(0, "int32"), [j])
    with T.serial(count) as k:
        boundary = T.Bind(boundaries[k])
        with T.vectorized(_LANES) as j:
            more = tirx.Cast("int32", boundary <= singles[first + j])
            T.buffer_store(below, below[j] + more, [j])
    with T.vectorized(_LANES) as j:
        T.buffer_store(ids, below[j], [first + j])


def _halved(boundaries: Any, count: Any, part: tuple[Any, Any]) -> None:
    singles, ids = part
    left = Cell("int64", count)
    zero = tirx.const(0, "int32")
    with T.While(left.get() > 1):
        half = T.Bind(left.get() >> i64(1))
        step = T.Bind(tirx.Cast("int32", half))
        with T.serial(TILE) as j:
            low = T.Bind(ids[j])
            below = boundaries[tirx.Cast("int64", low) + half - 1] <= singles[j]
            T.buffer_store(ids, low + tirx.Select(below, step, zero), [j])
        left.add(i64(0) - half)
    with T.serial(TILE) as j:
        below = boundaries[tirx.Cast("int64", ids[j])] <= singles[j]
        T.buffer_store(ids, ids[j] + tirx.Cast("int32", below), [j])
