"""The casts that an index is computed from and that may make another number of what they are given.

    astype(x, int64), x a float                 NaN, infinities and large numbers are no integers
    astype(x, int32), x of int64                cut off is what int32 does not hold: 2**32 becomes 0

An integer that is cut off on purpose, by a hash that takes its remainder behind, is none of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tvm import relax

from rtcompile.relay_passes.analysis.value_ranges import ValueRanges, dtype_range
from rtcompile.relay_passes.matching import call_name, dtype_of, reads

__all__ = ["INTEGERS", "IndexCasts"]

INTEGERS = tuple(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))

# Operators through which a number becomes an index; others make something else of it.
_COMPUTING = frozenset(
    f"relax.{name}"
    for name in (
        *("add", "subtract", "multiply", "divide", "floor_divide", "floor_mod", "mod", "negative"),
        *("maximum", "minimum", "where", "astype", "abs", "bitwise_and", "concat", "stack"),
        *("reshape", "expand_dims", "squeeze", "permute_dims", "broadcast_to", "strided_slice"),
        *("sum", "cumsum", "max", "min", "take", "flip", "tile", "repeat"),
    )
)

# Operators behind which an integer is still the id that it was: what is cut off it is missed. What
# takes a remainder or some bits of it does not miss them, and a choice may take another instead.
_CARRYING = frozenset(
    f"relax.{name}"
    for name in (
        *("add", "subtract", "multiply", "astype", "concat", "stack", "reshape"),
        *("expand_dims", "squeeze", "permute_dims", "broadcast_to", "strided_slice", "take"),
        *("flip", "tile", "repeat"),
    )
)


class IndexCasts:
    """Of the values of a function. `bound`: what its variables are bound to."""

    def __init__(self, bound: Mapping[Any, Any], ranges: ValueRanges) -> None:
        self._bound, self._ranges = bound, ranges

    def of(self, index: Any) -> Iterator[Any]:
        """Variables that hold a cast."""
        open_vars, seen = [(index, True)], {(index, True)}
        while open_vars:
            var, carried = open_vars.pop()
            value: Any = self._bound.get(var)
            name = call_name(value)
            if name == "relax.astype" and self._is_number(value):
                yield var
                continue
            if name == "relax.astype" and carried and self._is_cut(value):
                yield var
            if name in _COMPUTING or isinstance(value, relax.Tuple | relax.TupleGetItem):
                skipped = 1 if name == "relax.where" else 0  # the condition is no index
                read = reads(relax.Tuple(value.args[skipped:])) if skipped else reads(value)
                still = carried and (name is None or name in _CARRYING)
                following = [(var, still) for var in read if (var, still) not in seen]
                open_vars += following
                seen.update(following)

    def _is_number(self, cast: Any) -> bool:
        source = cast.args[0]
        is_float = dtype_range(dtype_of(source)) is None
        return is_float and dtype_of(cast) in INTEGERS and self._ranges.of(source) is None

    def _is_cut(self, cast: Any) -> bool:
        """Whether a cast of integers to fewer of them may lose some."""
        kept, given = dtype_range(dtype_of(cast)), self._ranges.of(cast.args[0])
        if dtype_of(cast) not in INTEGERS or kept is None or given is None:
            return False
        return not given.within(kept.least, kept.most)
