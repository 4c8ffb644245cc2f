"""Binding-time analysis: when is each value of a graph known?

    build   constants
    user    what depends on nothing but the request's user: once a request
    item    what depends on nothing but an item: once an item
    cross   everything else: once a row

A value is known when all that it reads is; user and item together are cross. The sides of the
graph's inputs stand in the attribute `rtc.sides` of `main`; a graph without it has cross inputs
only. Rows do not depend on each other (`check_row_independence`), so what is known of one row of a
user value is known of all: it is computed once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Any

from tvm.ir import IRModule

from rtcompile.relay_passes.matching import bindings, reads

__all__ = ["SIDES", "BindingTime", "binding_times", "join", "with_sides"]

SIDES = "rtc.sides"


class BindingTime(Enum):
    """The moments, from the earliest on."""

    BUILD = "build"
    USER = "user"
    ITEM = "item"
    CROSS = "cross"


def join(times: Iterable[BindingTime]) -> BindingTime:
    """When something that reads values of all these times is known."""
    found = {time for time in times if time is not BindingTime.BUILD}
    if not found:
        return BindingTime.BUILD
    return found.pop() if len(found) == 1 else BindingTime.CROSS


def with_sides(mod: IRModule, sides: Sequence[BindingTime]) -> IRModule:
    """`mod` with the binding times of `main`'s inputs noted, in their order."""
    updated = mod.clone()
    noted = mod["main"].with_attr(SIDES, [time.value for time in sides])
    updated.update_func(updated.get_global_var("main"), noted)
    return updated


def binding_times(function: Any) -> dict[Any, BindingTime]:
    """The binding time of every variable of a straight-line function."""
    given = function.attrs[SIDES] if function.attrs and SIDES in function.attrs else None
    sides = [BindingTime(str(side)) for side in given] if given is not None else []
    times = {
        param: sides[index] if sides else BindingTime.CROSS
        for index, param in enumerate(function.params)
    }
    for var, value in bindings(function).items():
        times[var] = join(times[read] for read in reads(value) if read in times)
    return times
