"""Between which integers the values of a tensor lie, as far as the graph tells.

    astype(greater(x, 0), "int64")            [0, 1]
    floor_mod(ids, 1000)                      [0, 999]
    maximum(minimum(ids, 9), 0)               [0, 9]
    topk(x).indices, x [n, 26]                [0, 25]

What is not told lies anywhere in its dtype, and sums that could leave their dtype do. A float has a
range only where it was an integer: NaN lies nowhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from tvm import relax

from rtcompile.relay_passes.analysis.static_values import static_values
from rtcompile.relay_passes.dialect.checked_values import CHECK_DIVISOR, CHECK_INDEX, index_extents
from rtcompile.relay_passes.matching import call_name, constant_array, kernel_symbol, shape_of

__all__ = ["Range", "ValueRanges", "dtype_range"]

# Deeper than this, a value is taken for any.
_DEEPEST = 64

_SAME = frozenset(
    f"relax.{name}"
    for name in (
        *("reshape", "expand_dims", "squeeze", "permute_dims", "broadcast_to", "tile", "repeat"),
        *("strided_slice", "take", "gather_elements", "gather_nd", "flip", "split"),
        *("flatten", "floor", "ceil", "round", "trunc", "max", "min", "index_tensor"),
    )
)
_TRUTH = frozenset(
    f"relax.{name}"
    for name in (
        *("less", "less_equal", "greater", "greater_equal", "equal", "not_equal", "isnan", "isinf"),
        *("logical_and", "logical_or", "logical_xor", "logical_not", "isfinite"),
    )
)


@dataclass(frozen=True)
class Range:
    """Every value v has `least` <= v <= `most`."""

    least: int
    most: int

    def join(self, other: Range) -> Range:
        """The least range around two."""
        return Range(min(self.least, other.least), max(self.most, other.most))

    def within(self, least: int, most: int) -> bool:
        """Whether it lies between two integers."""
        return least <= self.least and self.most <= most


def dtype_range(dtype: str) -> Range | None:
    """The integers of a dtype; None of one of other numbers."""
    if dtype == "bool":
        return Range(0, 1)
    if not dtype.startswith(("int", "uint")):
        return None
    limits = np.iinfo(dtype)
    return Range(int(limits.min), int(limits.max))


class ValueRanges:
    """Of the variables of a function. `bound`: what they are bound to."""

    def __init__(self, bound: Mapping[Any, Any]) -> None:
        self._bound = bound
        self._known: dict[Any, Range | None] = {}

    def of(self, expression: Any, depth: int = 0) -> Range | None:
        """The range of an expression; None of a float that may be no integer."""
        array = constant_array(expression)
        if array is not None:
            return _of_array(array)
        if expression not in self._known:
            value = self._bound.get(expression, expression)
            found = None if depth > _DEEPEST else self._computed(value, depth + 1)
            everything = dtype_range(_dtype(expression))
            if everything and not (found and found.within(everything.least, everything.most)):
                found = everything
            self._known[expression] = found
        return self._known[expression]

    def columns(self, expression: Any, count: int) -> list[Range | None]:
        """The range of each of the `count` places of the last axis."""
        array = constant_array(expression)
        if array is not None and array.ndim and array.shape[-1] == count:
            return [_of_array(array[..., column]) for column in range(count)]
        value: Any = self._bound.get(expression, expression)
        name, rank = call_name(value), len(shape_of(expression) or ())
        if name == "relax.concat" and int(value.attrs.axis) in (-1, rank - 1):
            parts = self.parts(value.args[0])
            widths = [(shape_of(part) or (0,))[-1] for part in parts]
            if sum(w for w in widths if isinstance(w, int)) == count:
                pairs = zip(parts, widths, strict=True)
                return [found for part, width in pairs for found in self.columns(part, width)]
        symbol = kernel_symbol(value)
        if symbol.startswith(f"{CHECK_INDEX}.") and len(index_extents(symbol)) == count:
            return [Range(0, extent - 1) for extent in index_extents(symbol)]
        return [self.of(expression)] * count

    def parts(self, expression: Any) -> list[Any]:
        """The tensors of a tuple, or the only one."""
        value = self._bound.get(expression, expression)
        return list(value.fields) if isinstance(value, relax.Tuple) else [expression]

    def _computed(self, value: Any, depth: int) -> Range | None:
        if isinstance(value, relax.Var):
            return self.of(value, depth)
        if isinstance(value, relax.TupleGetItem):
            return self._item(value, depth)
        known = static_values(value, self._bound)
        if known is not None and None not in known.flat and known.size:
            return Range(int(min(known.flat)), int(max(known.flat)))
        name = call_name(value)
        if name is None:
            return None
        if name in _TRUTH:
            return Range(0, 1)
        if name in _SAME:
            return self.of(value.args[0], depth)
        if name == "relax.call_dps_packed":
            return self._checked(value)
        rule = _RULES.get(name)
        return rule(self, value, depth) if rule else None

    def _item(self, value: Any, depth: int) -> Range | None:
        made: Any = self._bound.get(value.tuple_value, value.tuple_value)
        if call_name(made) == "relax.split":
            return self.of(made.args[0], depth)
        if call_name(made) == "relax.topk" and int(value.index) == 1:
            return _places(made.args[0], int(made.attrs.axis))
        return None

    def _checked(self, value: Any) -> Range | None:
        symbol = kernel_symbol(value)
        if symbol.startswith(f"{CHECK_INDEX}."):
            return Range(0, max(index_extents(symbol)) - 1)
        if symbol.startswith(f"{CHECK_DIVISOR}."):
            return self.of(value.args[1].fields[0])
        return None

    def pair(self, value: Any, depth: int) -> tuple[Range, Range] | None:
        """The ranges of both operands."""
        found = [self.of(operand, depth) for operand in value.args[:2]]
        return None if found[0] is None or found[1] is None else (found[0], found[1])


def _of_array(array: Any) -> Range | None:
    if not array.size:
        return Range(0, 0)
    if array.dtype.kind in "iub":
        return Range(int(array.min()), int(array.max()))
    if array.dtype.kind == "f" and np.isfinite(array).all() and (array == np.round(array)).all():
        return Range(int(array.min()), int(array.max()))
    return None


def _dtype(expression: Any) -> str:
    ty = getattr(expression, "ty", None)
    return str(ty.dtype) if isinstance(ty, relax.TensorType) else ""


def _places(source: Any, axis: int) -> Range | None:
    extent = (shape_of(source) or (None,))[axis]
    return Range(0, extent - 1) if isinstance(extent, int) and extent else None


def _cast(ranges: ValueRanges, value: Any, depth: int) -> Range | None:
    source = ranges.of(value.args[0], depth)
    # A float keeps an integer only as far as its digits go.
    limit = {"float64": 1 << 53, "float32": 1 << 24, "float16": 1 << 11}.get(_dtype(value))
    if source is None or (limit is not None and not source.within(-limit, limit)):
        return None
    return source


def _sum(ranges: ValueRanges, value: Any, depth: int) -> Range | None:
    found = ranges.pair(value, depth)
    if found is None:
        return None
    a, b = found
    return Range(a.least + b.least, a.most + b.most)


def _difference(ranges: ValueRanges, value: Any, depth: int) -> Range | None:
    found = ranges.pair(value, depth)
    if found is None:
        return None
    a, b = found
    return Range(a.least - b.most, a.most - b.least)


def _product(ranges: ValueRanges, value: Any, depth: int) -> Range | None:
    found = ranges.pair(value, depth)
    if found is None:
        return None
    a, b = found
    ends = [x * y for x in (a.least, a.most) for y in (b.least, b.most)]
    return Range(min(ends), max(ends))


def _maximum(ranges: ValueRanges, value: Any, depth: int) -> Range | None:
    found = ranges.pair(value, depth)
    if found is None:
        return None
    a, b = found
    return Range(max(a.least, b.least), max(a.most, b.most))


def _minimum(ranges: ValueRanges, value: Any, depth: int) -> Range | None:
    found = ranges.pair(value, depth)
    if found is None:
        return None
    a, b = found
    return Range(min(a.least, b.least), min(a.most, b.most))


def _remainder(ranges: ValueRanges, value: Any, depth: int) -> Range | None:
    found = ranges.pair(value, depth)
    if found is None or found[1].least <= 0 or not _dtype(value).startswith(("int", "uint")):
        return None
    a, b = found
    floored = call_name(value) == "relax.floor_mod" or a.least >= 0
    return Range(0 if floored else 1 - b.most, b.most - 1)


def _quotient(ranges: ValueRanges, value: Any, depth: int) -> Range | None:
    found = ranges.pair(value, depth)
    if found is None or found[1].least <= 0 or not _dtype(value).startswith(("int", "uint")):
        return None
    a, _ = found
    return Range(min(a.least, 0), max(a.most, 0))


def _where(ranges: ValueRanges, value: Any, depth: int) -> Range | None:
    found = [ranges.of(operand, depth) for operand in value.args[1:3]]
    return None if found[0] is None or found[1] is None else found[0].join(found[1])


def _concat(ranges: ValueRanges, value: Any, depth: int) -> Range | None:
    found = [ranges.of(part, depth) for part in ranges.parts(value.args[0])]
    whole = found[0]
    for part in found[1:]:
        whole = None if whole is None or part is None else whole.join(part)
    return whole


def _total(ranges: ValueRanges, value: Any, depth: int) -> Range | None:
    source, extents = ranges.of(value.args[0], depth), shape_of(value.args[0]) or (None,)
    behind = [extent for extent in extents[1:] if isinstance(extent, int)]
    if source is None or len(behind) != len(extents) - 1:
        return None
    # Rows of the batch are not summed; of a tensor without it the first axis counts too.
    count = math.prod(behind) * (extents[0] if isinstance(extents[0], int) else 1)
    return Range(min(0, count * source.least), max(0, count * source.most))


def _found(ranges: ValueRanges, value: Any, depth: int) -> Range | None:
    axis = value.attrs.axis
    return None if axis is None else _places(value.args[0], int(axis))


_RULES: dict[str, Callable[[ValueRanges, Any, int], Range | None]] = {
    "relax.astype": _cast,
    "relax.add": _sum,
    "relax.subtract": _difference,
    "relax.multiply": _product,
    "relax.maximum": _maximum,
    "relax.minimum": _minimum,
    "relax.floor_mod": _remainder,
    "relax.mod": _remainder,
    "relax.floor_divide": _quotient,
    "relax.divide": _quotient,
    "relax.where": _where,
    "relax.concat": _concat,
    "relax.sum": _total,
    "relax.cumsum": _total,
    "relax.argsort": _found,
}
