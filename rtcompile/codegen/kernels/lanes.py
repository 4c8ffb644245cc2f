"""Loops over contiguous values, a vector at a time, and reductions across a vector's lanes.

LLVM may not reorder a float sum: a plain loop over a row adds value by value. Here LANES sums run
side by side and are added at the end, in halves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as T

__all__ = ["LANES", "chunks", "fold", "reduce_lanes", "start_lanes"]

LANES = 16

Combine = Callable[[Any, Any], Any]


def chunks(width: int) -> list[tuple[int, int]]:
    """(start, lanes) of vectors that cover `width` values: whole ones, then halves, then single."""
    found, start, lanes = [], 0, LANES
    while start < width:
        while lanes > width - start:
            lanes //= 2
        found.append((start, lanes))
        start += lanes
    return found


def start_lanes(value: float, dtype: str = "float32") -> Any:
    """A vector of LANES accumulators."""
    lanes = T.alloc_buffer((LANES,), dtype)
    with T.vectorized(LANES) as j:
        T.buffer_store(lanes, tirx.const(value, dtype), [j])
    return lanes


def fold(lanes: Any, width: int, combine: Combine, value: Callable[[Any], Any]) -> None:
    """lanes = combine(lanes, value(i)) for each i below `width`.

    for i in range(width // LANES):  lanes[:] = combine(lanes[:], value(i * LANES + [0..LANES)))
    the rest in vectors of 8, 4, 2 and 1
    """
    whole = width // LANES
    if whole:
        with T.serial(whole) as i, T.vectorized(LANES) as j:
            T.buffer_store(lanes, combine(lanes[j], value(i * LANES + j)), [j])
    for start, count in chunks(width - whole * LANES):
        first = whole * LANES + start
        with T.vectorized(count) as j:
            T.buffer_store(lanes, combine(lanes[j], value(first + j)), [j])


def reduce_lanes(lanes: Any, combine: Combine) -> Any:
    """All accumulators combined into the first, in halves."""
    half = LANES // 2
    while half:
        with T.vectorized(half) as j:
            T.buffer_store(lanes, combine(lanes[j], lanes[j + half]), [j])
        half //= 2
    return T.Bind(lanes[0])
