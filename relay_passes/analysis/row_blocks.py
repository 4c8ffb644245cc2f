"""A row of a tensor as blocks of other tensors' rows.

    concat((a, slice(b), c * d), 1)   ->   [all of a, a range of b, the product of c and d]

seen through what only moves values: concatenations, slices, splits, picks by constant indices and
reshapes behind the batch axis. A row is what follows the batch, or a part of it: a tensor
[n, e1, e2] is n rows of e1 * e2 values, or n * e1 rows of e2. A product that is read elsewhere too,
and whatever else there is, is an atom: a block of its own.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

from tvm import relax

from rtcompile.relay_passes.matching import (
    call_name,
    constant_array,
    dtype_of,
    integers,
    shape_of,
    static_int,
)

__all__ = ["Block", "Operand", "RowBlocks", "row_width"]

# A row of more blocks than this is an atom: its table would be larger than what it saves.
_MOST_BLOCKS = 8192


@dataclass(frozen=True)
class Operand:
    """`start` values into the row of the variable `source`."""

    source: Any
    start: int

    def moved(self, by: int) -> Operand:
        """The operand that many values further on."""
        return Operand(self.source, self.start + by)


@dataclass(frozen=True)
class Block:
    """`width` values: those of `left`, or the products of `left` and `right`."""

    width: int
    left: Operand
    right: Operand | None = None

    def part(self, start: int, width: int) -> Block:
        """`width` of the values from `start` on."""
        right = self.right.moved(start) if self.right else None
        return Block(width, self.left.moved(start), right)


def row_width(expression: Any, rows: int) -> int | None:
    """Values a row, where a tensor has `rows` rows for each of the batch; None where it has not."""
    shape = shape_of(expression)
    if not shape or any(not isinstance(extent, int) for extent in shape[1:]):
        return None
    width, rest = divmod(math.prod(shape[1:]), rows)
    return None if rest else width


class RowBlocks:
    """Reads the rows of a function's values, `rows` of them for each of the batch."""

    def __init__(self, bound: Mapping[Any, Any], uses: Mapping[Any, int], rows: int = 1) -> None:
        self._bound, self._uses, self._rows = bound, uses, rows
        self._known: dict[Any, list[Block]] = {}
        self._cutters: dict[Any, _Cut] = {}
        self._cuts: dict[Any, list[int]] = {}  # where the parts of a split begin

    def of(self, var: Any) -> list[Block]:
        """The blocks of a variable's row, in order; neighbours in one source are one block."""
        if var not in self._known:
            found = self.of_value(self._bound.get(var))
            shared = self._uses.get(var, 0) > 1 and any(block.right for block in found or [])
            self._known[var] = self._atom(var) if found is None or shared else found
        return self._known[var]

    def of_value(self, value: Any) -> list[Block] | None:
        """The blocks of what moves values, or multiplies two tensors; None of anything else."""
        found = _merged(self._moved(value) or [])
        return found if 0 < len(found) <= _MOST_BLOCKS else None

    def _atom(self, var: Any) -> list[Block]:
        width = row_width(var, self._rows)
        assert width is not None  # asked by whoever led here
        return [Block(width, Operand(var, 0))]

    def _moved(self, value: Any) -> list[Block] | None:
        if isinstance(value, relax.TupleGetItem):
            return self._split(value)
        rules = {
            "relax.concat": self._concat,
            "relax.reshape": self._reshape,
            "relax.strided_slice": self._slice,
            "relax.take": self._take,
            "relax.multiply": self._product,
        }
        rule = rules.get(call_name(value) or "")
        return rule(value) if rule else None

    def _read(self, operand: Any) -> list[Block] | None:
        """The blocks of an operand; None where its rows are not these."""
        if not isinstance(operand, relax.Var) or row_width(operand, self._rows) is None:
            return None
        return self.of(operand)

    def _reshape(self, value: Any) -> list[Block] | None:
        source, target = shape_of(value.args[0]), shape_of(value)
        same_batch = source and target and str(source[0]) == str(target[0])
        return self._read(value.args[0]) if same_batch else None

    def _outer(self, shape: Sequence[Any] | None, axis: int) -> tuple[int, int] | None:
        """(positions before `axis` in a row, values behind it); None where rows cross the axis."""
        if shape is None or axis < 1 or any(not isinstance(extent, int) for extent in shape[1:]):
            return None
        outer, rest = divmod(math.prod(shape[1:axis]), self._rows)
        return None if rest else (outer, math.prod(shape[axis + 1 :]))

    def _concat(self, value: Any) -> list[Block] | None:
        parts = self._bound.get(value.args[0], value.args[0])
        shape = shape_of(value)
        if not isinstance(parts, relax.Tuple) or shape is None:
            return None
        axis = int(value.attrs.axis) % len(shape)
        around = self._outer(shape, axis)
        if around is None:
            return None
        rows = [self._read(part) for part in parts.fields]
        if any(row is None for row in rows):
            return None
        widths = [(shape_of(part) or ())[axis] * around[1] for part in parts.fields]
        cut = [_Cut(row or []) for row in rows]
        return [
            block
            for at in range(around[0])
            for part, width in zip(cut, widths, strict=True)
            for block in part.range(at * width, width)
        ]

    def _ranges(
        self, source: Any, axis: int, ranges: Sequence[tuple[int, int]]
    ) -> list[Block] | None:
        """(start, length) ranges of positions along an axis of `source`, one after another."""
        shape = shape_of(source)
        around = self._outer(shape, axis)
        if around is None or shape is None or self._read(source) is None:
            return None
        cut, inner, extent = self._cut(source), around[1], shape[axis]
        return [
            block
            for at in range(around[0])
            for start, length in ranges
            for block in cut.range((at * extent + start) * inner, length * inner)
        ]

    def _cut(self, var: Any) -> _Cut:
        if var not in self._cutters:
            self._cutters[var] = _Cut(self.of(var))
        return self._cutters[var]

    def _slice(self, value: Any) -> list[Block] | None:
        axes, begins, ends = (integers(argument) for argument in value.args[1:4])
        steps = integers(value.args[4]) if len(value.args) > 4 else [1]
        shape = shape_of(value.args[0])
        if shape is None or not axes or not begins or not ends or len(axes) != 1 or steps != [1]:
            return None
        axis = axes[0] % len(shape)
        extent = shape[axis]
        if not isinstance(extent, int):
            return None
        start, end, _ = slice(begins[0], ends[0]).indices(extent)
        return self._ranges(value.args[0], axis, [(start, end - start)]) if end > start else None

    def _split(self, value: Any) -> list[Block] | None:
        split = self._bound.get(value.tuple_value, value.tuple_value)
        if call_name(split) != "relax.split":
            return None
        source, index = split.args[0], int(value.index)
        shape = shape_of(source)
        if shape is None or not isinstance(source, relax.Var):
            return None
        axis = int(split.attrs.axis) % len(shape)
        if split not in self._cuts:
            extents = [static_int(field.shape.values[axis]) or 0 for field in split.ty.fields]
            self._cuts[split] = [0, *accumulate(extents)]
        start, end = self._cuts[split][index : index + 2]
        return self._ranges(source, axis, [(start, end - start)]) if end > start else None

    def _take(self, value: Any) -> list[Block] | None:
        """By constant indices along one axis: ranges of neighbours are one block."""
        source, indices = value.args
        array, shape = constant_array(indices), shape_of(source)
        if array is None or array.ndim > 1 or shape is None or not isinstance(source, relax.Var):
            return None
        axis = int(value.attrs.axis if value.attrs.axis is not None else 0) % len(shape)
        extent = shape[axis]
        if not isinstance(extent, int) or (array < -extent).any() or (array >= extent).any():
            return None
        return self._ranges(source, axis, [(int(i) % extent, 1) for i in array.reshape(-1)])

    def _product(self, value: Any) -> list[Block] | None:
        left, right = value.args
        if not all(isinstance(arg, relax.Var) for arg in value.args) or dtype_of(left) != "float32":
            return None
        shapes = [str(shape_of(each)) for each in (left, right, value)]
        rows = [self._read(left), self._read(right)]
        if len(set(shapes)) > 1 or rows[0] is None or rows[1] is None:
            return None
        if any(block.right for row in rows for block in row or []):
            return None
        return _products(rows[0], rows[1])


class _Cut:
    """Cuts ranges out of a row."""

    def __init__(self, row: list[Block]) -> None:
        self._row = row
        self._ends = list(accumulate(block.width for block in row))

    def range(self, start: int, width: int) -> list[Block]:
        """The blocks of `width` values from `start` on."""
        found, at, end = [], start, start + width
        index = bisect_right(self._ends, start)
        while at < end:
            block = self._row[index]
            first = self._ends[index] - block.width
            until = min(end, self._ends[index])
            found.append(block.part(at - first, until - at))
            at, index = until, index + 1
        return found


def _products(left: list[Block], right: list[Block]) -> list[Block]:
    """Two rows multiplied: cut where either is."""
    ends = {*accumulate(b.width for b in left), *accumulate(b.width for b in right)}
    cuts, found, start = (_Cut(left), _Cut(right)), [], 0
    for end in sorted(ends):
        (a,), (b,) = (cut.range(start, end - start) for cut in cuts)
        found.append(Block(end - start, a.left, b.left))
        start = end
    return found


def _merged(row: list[Block]) -> list[Block]:
    """Blocks that go on where the one before ends are joined to it."""
    found: list[Block] = []
    for block in row:
        if found and _goes_on(found[-1], block):
            found[-1] = replace(found[-1], width=found[-1].width + block.width)
        else:
            found.append(block)
    return found


def _goes_on(a: Block, b: Block) -> bool:
    if (a.right is None) != (b.right is None):
        return False
    pairs = ((a.left, b.left), (a.right, b.right))
    return all(
        x is None or y is None or (x.source.same_as(y.source) and x.start + a.width == y.start)
        for x, y in pairs
    )
