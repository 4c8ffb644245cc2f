"""Extents that depend on the row count."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import tirx

from rtcompile.errors import UnsupportedError
from rtcompile.relay_passes.kernels.trim_sequences import most_rows

__all__ = ["evaluate_extent", "rows_factor"]


def evaluate_extent(extent: Any, rows: int) -> int:
    """The most that an extent can be for `rows` rows of the batch, the symbol of all extents.

    (A trimmed value's own count of rows is as many times the batch as a sequence has room.)
    """
    if isinstance(extent, int):
        return extent
    if isinstance(extent, tirx.IntImm):
        return int(extent.value)
    if isinstance(extent, tirx.Var):
        return rows * most_rows(extent)
    operations: dict[Any, Callable[[int, int], int]] = {
        tirx.Add: lambda a, b: a + b,
        tirx.Sub: lambda a, b: a - b,
        tirx.Mul: lambda a, b: a * b,
        tirx.FloorDiv: lambda a, b: a // b,
        tirx.Div: lambda a, b: a // b,
        tirx.FloorMod: lambda a, b: a % b,
        tirx.Max: max,
        tirx.Min: min,
    }
    operation = operations.get(type(extent))
    if operation is None:
        raise UnsupportedError(f"the extent {extent} is not a simple function of the batch size")
    return operation(evaluate_extent(extent.a, rows), evaluate_extent(extent.b, rows))


def rows_factor(extents: tuple[Any, ...]) -> int:
    """Elements of a shape a row of the batch: (n, 26) has 26."""
    one, two = 1, 1
    for extent in extents:
        one *= evaluate_extent(extent, 1)
        two *= evaluate_extent(extent, 2)
    if two != 2 * one:
        raise UnsupportedError(f"a value of shape {list(extents)} does not grow with the batch")
    return one
