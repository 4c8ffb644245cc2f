"""The order in which a graph's calls stand in the program."""

from __future__ import annotations

from typing import Any

from rtcompile.relay_passes.matching import call_name, reads

__all__ = ["by_level"]


def by_level(bound: dict[Any, Any]) -> dict[Any, Any]:
    """The bindings in an order that puts equal kernels side by side.

    A binding's level is one more than the highest of what it reads; within a level nothing depends
    on anything, so kernels of the same kind can follow each other and share a loop.
    """
    levels: dict[Any, int] = {}
    for var, value in bound.items():
        levels[var] = 1 + max((levels.get(read, 0) for read in reads(value)), default=0)
    order = sorted(bound, key=lambda var: (levels[var], _kernel_of(bound[var])))
    return {var: bound[var] for var in order}


def _kernel_of(value: Any) -> str:
    name = call_name(value) or ""
    return f"{name}:{value.args[0]}" if name.startswith("relax.call_") else name
