"""What the models share: a shape, and inputs of any count of rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

__all__ = ["NEW", "OLD", "Shape", "floats", "history", "ids"]

# The exporters.
NEW, OLD = "new", "old"


@dataclass(frozen=True)
class Shape:
    """A network, and its inputs at a count of rows.

    `not_exported`: exporters of torch 2.13 that cannot write it. `changed`: those whose graph is
    not what torch computes, which the build agrees with, and why.
    """

    network: Callable[[], Any]
    inputs: Callable[[int], tuple[Any, ...]]
    not_exported: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    why: str = ""


def ids(rows: int, high: int, *shape: int, low: int = 0) -> Any:
    """Ids [rows, *shape] from `low` to below `high`."""
    return torch.randint(low, high, (rows, *shape))


def floats(rows: int, *shape: int) -> Any:
    """Normal numbers [rows, *shape]."""
    return torch.randn(rows, *shape)


def history(rows: int, steps: int = 20, shortest: int = 0) -> Any:
    """Ids from 1 to 99 [rows, steps], zeros behind the end of each row's."""
    lengths = torch.randint(shortest, steps + 1, (rows, 1))
    return torch.where(torch.arange(steps)[None] < lengths, ids(rows, 100, steps, low=1), 0)
