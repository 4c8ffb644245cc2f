"""EditDistance in TIR: Wagner and Fischer's table, one row of it in the scratch.

codes of both texts -> scratch
row[j] = j
for i, a in enumerate(first, 1):
    diagonal, row[0] = row[0], i
    for j, b in enumerate(second, 1):
        row[j], diagonal = min(diagonal + (a != b), row[j] + 1, row[j - 1] + 1), row[j]
"""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit.tir import Cell, i64
from rtcompile.codegen.features.inputs import InputView, Views

__all__ = ["SCRATCH_PER_BYTE", "emit_edit_distance"]

# Two texts as codes, and a row of the table: eight bytes a character each.
SCRATCH_PER_BYTE = 24

_CONTINUES, _LEAD_BITS = 0x80, 0xC0


def emit_edit_distance(views: Views, utf8: bool) -> tuple[Any, Any]:
    """(the distance, whether both sides have text)."""
    one, other = views.inputs
    assert isinstance(one, InputView)
    assert isinstance(other, InputView)
    words, start = views.kernel.scratch.words("int64")
    first, second = _codes(one, words, start, utf8), None
    second = _codes(other, words, T.Bind(start + first), utf8)
    both = T.Bind(tirx.And(first > 0, second > 0))
    row = T.Bind(start + first + second)
    distance = Cell("int64", i64(0))
    with T.If(both), T.Then():
        _fill(words, (start, first), (T.Bind(start + first), second), row)
        distance.set(words[row + second])
    return T.Bind(tirx.Cast("float64", distance.get())), both


def _codes(view: InputView, words: Any, at: Any, utf8: bool) -> Any:
    """Write a code a character to words[at:]; returns how many."""
    present = T.Bind(view.first < view.end)
    begin, end = view.column.bytes_of(T.Bind(tirx.Select(present, view.first, i64(0))))
    size = T.Bind(tirx.Select(present, end - begin, i64(0)))
    count = Cell("int64", i64(0))
    with T.serial(size) as k:
        byte = T.Bind(tirx.Cast("int64", view.column.text[begin + k]))
        if not utf8:
            T.buffer_store(words, byte, [at + k])
            continue_ = tirx.const(False, "bool")
        else:
            continue_ = T.Bind(tirx.And(byte & i64(_LEAD_BITS) == i64(_CONTINUES), k > 0))
            place = T.Bind(at + count.get() - tirx.Cast("int64", continue_))
            before = T.Bind(tirx.Select(continue_, words[tirx.max(place, at)], i64(0)))
            T.buffer_store(words, (before << i64(8)) | byte, [place])
        count.add(tirx.Cast("int64", tirx.Not(continue_)))
    return T.Bind(count.get())


def _fill(words: Any, one: tuple[Any, Any], other: tuple[Any, Any], row: Any) -> None:
    with T.serial(other[1] + 1) as j:
        T.buffer_store(words, j, [row + j])
    with T.serial(one[1]) as i:
        code = T.Bind(words[one[0] + i])
        diagonal = Cell("int64", words[row])
        left = Cell("int64", i + 1)
        T.buffer_store(words, i + 1, [row])
        with T.serial(other[1]) as j:
            above = T.Bind(words[row + j + 1])
            differs = tirx.Cast("int64", code != words[other[0] + j])
            edited = tirx.min(above, left.get()) + 1
            best = T.Bind(tirx.min(diagonal.get() + differs, edited))
            T.buffer_store(words, best, [row + j + 1])
            diagonal.set(above)
            left.set(best)
