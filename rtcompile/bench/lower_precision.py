"""What is measured in lower precision: built so whatever that costs, calibrated on its requests."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rtcompile.models.workloads.design import Design

__all__ = ["CALIBRATION_ROWS", "lower_precision", "write_requests"]

# Of each request of a workload.
CALIBRATION_ROWS = 100

_ANY = float("inf")


def lower_precision(quantize: str, calibration: Path | None) -> dict[str, Any]:
    """The fields of BuildOptions. No budget: the table says how far the scores move."""
    return {
        "quantize": quantize,
        "calibration": calibration,
        "max_difference": _ANY,
        "max_mean_difference": _ANY,
    }


def write_requests(design: Design, rows: int, path: Path) -> Path:
    """The requests of a workload for `rows` items each, as `rtcompile build --calibration` reads.

    Each request has other items, as far as there are enough.
    """
    count = len(design.items["item_id"])
    with path.open("w", encoding="utf-8") as file:
        for number, request in enumerate(design.requests):
            places = [(number * rows + row) % count for row in range(rows)]
            cut = request.of(rows)
            line = {"user": cut.user, "items": _items(design.items, places), "context": cut.context}
            file.write(json.dumps(line) + "\n")
    return path


def _items(columns: Mapping[str, list[Any]], places: Sequence[int]) -> list[dict[str, Any]]:
    return [{name: column[place] for name, column in columns.items()} for place in places]
