"""How bags of a table's rows stand in a graph: one call from the import on.

    call_dps_packed("rtc.embedding_bag.MODE.PADDING.EMPTY", (table, ids, bounds[, weights]))

table is a constant float32 [rows, d]; ids, int32 or int64, and weights, float32, have a length of
their own, which their types in the graph do not say; bounds is int64 [n, 2]. A row of the result,
[n, d], is what MODE makes of table[ids[start:end]] of the row's bounds: "sum", "mean", "max", or
"weighted", a sum of the rows times their weights. The id PADDING, or "none", counts as not there;
a row without ids is EMPTY everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["EMBEDDING_BAG", "BagForm", "RaggedInput"]

EMBEDDING_BAG = "rtc.embedding_bag"


@dataclass(frozen=True)
class BagForm:
    """What the name of a call says."""

    mode: str
    padding: int | None
    empty: float

    @property
    def name(self) -> str:
        """The call's name."""
        padding = "none" if self.padding is None else self.padding
        return f"{EMBEDDING_BAG}.{self.mode}.{padding}.{self.empty}"

    @staticmethod
    def of(name: str) -> BagForm:
        """The form that `name` says."""
        mode, padding, empty = name.removeprefix(f"{EMBEDDING_BAG}.").split(".", 2)
        return BagForm(mode, None if padding == "none" else int(padding), float(empty))


@dataclass(frozen=True)
class RaggedInput:
    """An input of offsets, and the flat ones that it cuts into bags. `last`: whether its last entry
    is the end of the last bag, as `include_last_offset` has it, and no bag's start."""

    offsets: str
    flat: tuple[str, ...]
    last: bool
