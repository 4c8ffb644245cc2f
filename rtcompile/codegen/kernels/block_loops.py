"""Loops over the rows of a kernel in blocks, and over its panels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.kernels.panels import Panel, heights

__all__ = ["each_panel", "emit_blocks", "emit_even_blocks", "kept"]


def each_panel(depth: int, cut: Sequence[Panel], emit: Callable[[Panel, Any], None]) -> None:
    """Emit each panel with where its weights begin; equal ones share a loop."""
    offset = 0
    for _, group in groupby(cut, lambda panel: replace(panel, start=0)):
        alike = list(group)
        panel, size = alike[0], depth * alike[0].width
        if len(alike) == 1:
            emit(panel, offset)
        else:
            with T.serial(tirx.const(len(alike), "int64")) as which:
                moved = replace(panel, start=panel.start + which * panel.width)
                emit(moved, offset + which * size)
        offset += len(alike) * size


def emit_blocks(most: int, rows: Any, block: Callable[[Any, int], None]) -> None:
    """`rows` rows in blocks of `most`, of half, down to single: `block(first row, height)`."""
    done = tirx.const(0, "int64")
    for height in heights(most):
        blocks = T.Bind((rows - done) // height)
        with T.serial(blocks) as i:
            block(done + i * height, height)
        done = T.Bind(done + blocks * height)


def emit_even_blocks(most: int, rows: Any, block: Callable[[Any, int], None]) -> None:
    """`rows` rows in blocks of `most`, and what is left of them in one block, or in two halves.

    A block of few rows takes as long as its weights take to come, so none is made much shorter
    than half where there are more rows: 64 rows by 6 are 10 blocks and one of 4; 61 rows are 9,
    one of 4 and one of 3.
    """
    over = T.Bind(rows % most)
    borrowed = _number_of(tirx.And(tirx.And(over > 0, over * 2 < most), rows >= most))
    blocks = kept(rows // most - borrowed)
    left = T.Bind(rows - blocks * most)
    half = (left + 1) // 2
    first = T.Bind(tirx.Select(left > most, half, left))
    with T.serial(blocks) as i:
        block(i * most, most)
    done = kept(blocks * most)
    for height in range(most - 1, 0, -1):
        count = kept(_number_of(first == height) + _number_of(left - first == height))
        with T.serial(count) as i:
            block(done + i * height, height)
        done = kept(done + count * height)


def _number_of(condition: Any) -> Any:
    return tirx.Cast("int64", condition)


def kept(value: Any) -> Any:
    """`value` out of sight of TVM's simplifier, which would put it in every index again."""
    place = T.alloc_buffer((1,), "int64")
    T.buffer_store(place, value, [0])
    return T.Bind(place[0])
