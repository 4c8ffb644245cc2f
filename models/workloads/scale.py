"""How large a workload is made: as published, or small, for tests."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FULL", "SMALL", "Scale"]


@dataclass(frozen=True)
class Scale:
    """What counts, table rows and layer widths are divided by, and what they keep at least."""

    name: str
    counts: int = 1
    rows: int = 1
    units: int = 1

    def count(self, full: int) -> int:
        """Features, items, requests: at least two, so that there are several of each."""
        return max(min(full, 2), full // self.counts)

    def table(self, full: int) -> int:
        """Rows of an embedding table, or buckets."""
        return max(min(full, 16), full // self.rows)

    def layer(self, full: int) -> int:
        """Units of a hidden layer."""
        return max(min(full, 4), full // self.units)


FULL = Scale("full")
SMALL = Scale("small", counts=40, rows=1000, units=16)
