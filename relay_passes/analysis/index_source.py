"""Take off what an importer puts around indices, where a kernel of ours does the same.

where(less(ids, 0), add(ids, extents), ids)     the wrap of negative ones
where(isfinite(c), c, 0)                        the zero for what is no number
astype(ids, int32)                              what is cut off an id
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rtcompile.relay_passes.analysis.static_values import static_values
from rtcompile.relay_passes.matching import call_name, constant_array, dtype_of

__all__ = ["IndexSource"]


class IndexSource:
    """Of the values of a function. `bound`: what its variables are bound to."""

    def __init__(self, bound: Mapping[Any, Any]) -> None:
        self._bound = bound

    def unwrapped(self, ids: Any, extents: Sequence[int]) -> tuple[Any, bool]:
        """(indices, whether negative ones are still to be counted from the end).

        `extents`: one, or one for each place of the last axis.
        """
        where = self.call(ids, "where")
        if where is None:
            return ids, True
        condition, wrapped, plain = where.args
        less, add = self.call(condition, "less"), self.call(wrapped, "add")
        if less is None or add is None or not _is(less.args[1], 0):
            return ids, True
        if not less.args[0].same_as(plain) or not add.args[0].same_as(plain):
            return ids, True
        known = static_values(add.args[1], self._bound)
        if known is None or [*known.flat] not in (list(extents), [extents[0]] * known.size):
            return ids, False  # wrapped by something else, and no second time
        return plain, True

    def uncut(self, ids: Any, dtypes: Sequence[str]) -> Any:
        """x of astype(x, int), if its dtype is among `dtypes`, or `ids` itself."""
        cast = self.call(ids, "astype")
        return cast.args[0] if cast is not None and dtype_of(cast.args[0]) in dtypes else ids

    def of_number(self, value: Any) -> Any:
        """c of where(isfinite(c), c, 0), or `value` itself."""
        where = self.call(value, "where")
        if where is None:
            return value
        condition, yes, no = where.args
        negated = self.call(condition, "logical_not")
        zero, kept = (yes, no) if negated is not None else (no, yes)
        finite = self.call(negated.args[0] if negated is not None else condition, "isfinite")
        zeroed = _is(zero, 0) and finite is not None and bool(finite.args[0].same_as(kept))
        return kept if zeroed else value

    def call(self, expression: Any, name: str) -> Any:
        """What a variable is bound to, if that is a call of an operator; else None."""
        value = self._bound.get(expression)
        return value if call_name(value) == f"relax.{name}" else None


def _is(expression: Any, number: int) -> bool:
    """Whether `expression` is a constant of this one value."""
    array = constant_array(expression)
    return array is not None and array.size == 1 and bool((array == number).all())
