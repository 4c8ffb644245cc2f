"""Calibration data: the requests of the validation period, with their items in place and labels."""

from __future__ import annotations

import json
from pathlib import Path

from rtcompile.models.movielens.data import Interactions
from rtcompile.models.movielens.examples import item_fields, requests

__all__ = ["LABEL", "write_calibration"]

LABEL = "positive"


def write_calibration(data: Interactions, path: Path, labels: bool = True) -> None:
    """One request a line, as `rtcompile build --calibration` reads it; the labels are `LABEL`."""
    items = item_fields(data)
    at = {item: row for row, item in enumerate(items["item_id"])}
    with path.open("w", encoding="utf-8") as file:
        for request in requests(data, "validate"):
            listed = [
                {name: column[at[item]] for name, column in items.items()} for item in request.items
            ]
            line: dict[str, object] = {"user": request.user, "items": listed}
            if labels:
                line[LABEL] = request.labels
            file.write(json.dumps(line) + "\n")
